//! One ELF file that a process runs, read piece by piece.
//!
//! The file is read and never mapped: a mapped file that somebody truncates kills the process that
//! looks at it (SIGBUS), and the files looked at here belong to others.

use std::fs::{File, Metadata};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use coral_model::Language;
use object::elf;
use object::read::{CompressedData, CompressionFormat};

use super::SymbolError;
use super::bytes::{contains, slice_at, u32_at, u64_at};
use super::constants::Constants;
use super::elf::{Headers, Section, Segment, read_at};
use super::go_build_info;
use super::planner::Architecture;

/// A function longer than this is no function.
pub(super) const FUNCTION_BYTES_MAX: u64 = 16 << 20;
/// A section is read up to this length; a longer one counts as damaged.
const SECTION_BYTES_MAX: u64 = 256 << 20;
/// A compressed section may expand to this length.
const EXPANDED_BYTES_MAX: u64 = 128 << 20;
/// The longest note that is looked at for a build-id.
const NOTES_BYTES_MAX: u64 = 64 << 10;
/// How much of the dynamic strings is searched for the names of needed libraries.
const NEEDED_BYTES_MAX: u64 = 4 << 20;

/// Tells files apart, whatever they are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// The device that the file is on.
    pub device: u64,
    /// Its number on that device.
    pub inode: u64,
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// An ELF executable or library.
#[derive(Debug)]
pub struct Image {
    file: File,
    path: String,
    identity: FileIdentity,
    len: u64,
    headers: Headers,
    build_id: Option<String>,
    language: Language,
    constants: OnceLock<Constants>,
    go_version: OnceLock<Option<(u32, u32)>>,
}

impl Image {
    /// Reads the headers of an opened file; `shown_path` only names it in messages.
    ///
    /// # Errors
    /// If it cannot be read, or is no 64-bit ELF file for this machine's processor.
    pub fn open(file: File, shown_path: impl Into<String>) -> Result<Self, SymbolError> {
        let image = Self::open_foreign(file, shown_path)?;
        if Some(image.headers.machine) != host_machine() {
            return Err(SymbolError::ForeignArchitecture {
                path: image.path,
                machine: image.headers.machine,
            });
        }
        Ok(image)
    }

    /// Reads the headers of an opened file for whatever processor: to look at it, because nothing
    /// on this machine runs it.
    ///
    /// # Errors
    /// If it cannot be read, or is no 64-bit ELF file.
    pub fn open_foreign(file: File, shown_path: impl Into<String>) -> Result<Self, SymbolError> {
        let path = shown_path.into();
        let unreadable = |source| SymbolError::Unreadable {
            path: path.clone(),
            source,
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(SymbolError::NotElf { path });
        }
        let headers = Headers::read(&file, &path)?;
        let mut image = Self {
            file,
            path,
            identity: FileIdentity::from(&metadata),
            len: metadata.len(),
            headers,
            build_id: None,
            language: Language::Unknown,
            constants: OnceLock::new(),
            go_version: OnceLock::new(),
        };
        image.build_id = read_build_id(&image);
        image.language = guess_language(&image);
        Ok(image)
    }

    /// The path as it was shown when the image was opened.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The opened file: probes attach to it, not to whatever its path names by now.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Device and inode.
    pub fn identity(&self) -> FileIdentity {
        self.identity
    }

    /// The file's length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The GNU build-id in lower-case hexadecimal, else Go's build id as it stands in the file.
    pub fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }

    /// The language that most of it was compiled from, as far as its headers tell.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The processor that it was compiled for.
    pub fn architecture(&self) -> Architecture {
        match self.headers.machine {
            machine if machine == elf::EM_X86_64.0 => Architecture::X86_64,
            machine if machine == elf::EM_AARCH64.0 => Architecture::Aarch64,
            _ => Architecture::Other,
        }
    }

    /// Whether all of a range of virtual addresses lies in executable code of the file.
    pub fn is_code(&self, range: &Range<u64>) -> bool {
        self.code_segment(range).is_some()
    }

    /// Where in the file the code at a virtual address is, which is what the kernel calls a
    /// probe's offset; `None` for what is not code.
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        self.code_segment(&(address..address.checked_add(1)?))
            .and_then(|segment| (address - segment.address).checked_add(segment.offset))
    }

    /// The machine code at a range of virtual addresses; `None` if it is too long for a function.
    pub fn code(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let segment = self.code_segment(&range)?;
        let len = range.end - range.start;
        if len > FUNCTION_BYTES_MAX {
            return None;
        }
        let offset = (range.start - segment.address).checked_add(segment.offset)?;
        read_at(&self.file, offset, len as usize)
    }

    /// How many bytes of code follow an address in its segment, itself included.
    pub(super) fn code_len_from(&self, address: u64) -> u64 {
        address
            .checked_add(1)
            .and_then(|end| self.code_segment(&(address..end)))
            .map_or(0, |segment| segment.address + segment.size - address)
    }

    /// The bytes of the file that are loaded at a virtual address.
    pub(super) fn bytes_at(&self, address: u64, len: u64) -> Option<Vec<u8>> {
        let segment = self.headers.segment(address, len)?;
        let offset = (address - segment.address).checked_add(segment.offset)?;
        read_at(&self.file, offset, usize::try_from(len).ok()?)
    }

    /// The read-only data, read once.
    pub(super) fn constants(&self) -> &Constants {
        self.constants.get_or_init(|| Constants::read(self))
    }

    /// The version of Go that it was made by, read once; see [`go_build_info::version`].
    pub(super) fn go_version(&self) -> Option<(u32, u32)> {
        *self.go_version.get_or_init(|| go_build_info::version(self))
    }

    /// The virtual address of what a mapping of the file's code starts with; the mapping begins at
    /// an offset in the file, and may begin before the code because pages are mapped whole.
    pub(super) fn mapped_address(&self, offset: u64, len: u64) -> Option<u64> {
        let end = offset.checked_add(len)?;
        let segment = self.headers.segments.iter().find(|segment| {
            segment.kind == elf::PT_LOAD.0
                && segment.executable
                && segment.offset < end
                && offset < segment.offset.saturating_add(segment.size)
        })?;
        Some(
            segment
                .address
                .wrapping_sub(segment.offset)
                .wrapping_add(offset),
        )
    }

    /// Whether there is code at an address.
    pub(super) fn is_code_at(&self, address: u64) -> bool {
        self.code_len_from(address) > 0
    }

    /// The bytes of a segment that are in the file.
    pub(super) fn segment_bytes(&self, segment: &Segment) -> Option<Vec<u8>> {
        let size = segment.size.min(SECTION_BYTES_MAX) as usize;
        read_at(&self.file, segment.offset, size)
    }

    pub(super) fn headers(&self) -> &Headers {
        &self.headers
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.headers
            .sections
            .iter()
            .find(|section| section.name == name)
    }

    /// All bytes of a section, expanded if it is compressed.
    pub(super) fn section_bytes(&self, section: &Section) -> Option<Vec<u8>> {
        match self.section_data(section)? {
            SectionData::Memory(bytes) => Some(bytes),
            SectionData::File { file, offset, size } => {
                (size <= SECTION_BYTES_MAX).then(|| read_at(file, offset, size as usize))?
            }
        }
    }

    /// Access to a section's bytes; only a compressed section is read into memory by this.
    pub(super) fn section_data(&self, section: &Section) -> Option<SectionData<'_>> {
        if section.kind == elf::SHT_NOBITS.0 {
            return None;
        }
        let plain = SectionData::File {
            file: &self.file,
            offset: section.offset,
            size: section.size,
        };
        if section.flags & elf::SHF_COMPRESSED.0 == 0 {
            return Some(plain);
        }
        let size = usize::try_from(section.size.min(SECTION_BYTES_MAX)).ok()?;
        expand(&read_at(&self.file, section.offset, size)?).map(SectionData::Memory)
    }

    fn code_segment(&self, range: &Range<u64>) -> Option<&Segment> {
        self.headers
            .segment(range.start, range.end.checked_sub(range.start)?)
            .filter(|segment| segment.executable)
    }
}

/// Where the bytes of a section are.
pub(super) enum SectionData<'a> {
    /// In the file, as they are.
    File {
        file: &'a File,
        offset: u64,
        size: u64,
    },
    /// In memory, because they had to be expanded.
    Memory(Vec<u8>),
}

impl SectionData<'_> {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Reads up to `len` bytes at an offset, fewer only at the section's end.
    pub(super) fn read(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        let len = len.min(self.len().checked_sub(offset)?);
        match self {
            Self::Memory(bytes) => slice_at(bytes, offset, len).map(<[u8]>::to_vec),
            Self::File {
                file,
                offset: start,
                ..
            } => read_at(file, start.checked_add(offset)?, usize::try_from(len).ok()?),
        }
    }
}

/// The ELF number of the processor that this program was built for.
fn host_machine() -> Option<u16> {
    match std::env::consts::ARCH {
        "x86_64" => Some(elf::EM_X86_64.0),
        "aarch64" => Some(elf::EM_AARCH64.0),
        _ => None,
    }
}

fn expand(bytes: &[u8]) -> Option<Vec<u8>> {
    let (kind, uncompressed_size) = (u32_at(bytes, 0)?, u64_at(bytes, 8)?);
    let format = match kind {
        kind if kind == elf::ELFCOMPRESS_ZLIB.0 => CompressionFormat::Zlib,
        kind if kind == elf::ELFCOMPRESS_ZSTD.0 => CompressionFormat::Zstandard,
        _ => return None,
    };
    if uncompressed_size > EXPANDED_BYTES_MAX {
        return None;
    }
    let data = CompressedData {
        format,
        data: bytes.get(24..)?,
        uncompressed_size,
    };
    Some(data.decompress().ok()?.into_owned())
}

fn read_build_id(image: &Image) -> Option<String> {
    let headers = image.headers();
    let sections = headers
        .sections
        .iter()
        .filter(|section| section.kind == elf::SHT_NOTE.0)
        .map(|section| (section.offset, section.size));
    let segments = headers
        .segments
        .iter()
        .filter(|segment| segment.kind == elf::PT_NOTE.0)
        .map(|segment| (segment.offset, segment.size));
    let notes: Vec<Vec<u8>> = sections
        .chain(segments)
        .filter_map(|(offset, size)| {
            read_at(&image.file, offset, size.min(NOTES_BYTES_MAX) as usize)
        })
        .collect();
    let find = |owner: &[u8], kind: u32| notes.iter().find_map(|bytes| note(bytes, owner, kind));
    if let Some(id) = find(b"GNU\0", elf::NT_GNU_BUILD_ID.0) {
        return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    let id = find(b"Go\0\0", 4)?;
    Some(String::from_utf8_lossy(id).into_owned())
}

/// The contents of the first note of an owner and a kind.
fn note<'a>(bytes: &'a [u8], owner: &[u8], kind: u32) -> Option<&'a [u8]> {
    let mut offset = 0;
    while let (Some(owner_len), Some(len), Some(found)) = (
        u32_at(bytes, offset),
        u32_at(bytes, offset + 4),
        u32_at(bytes, offset + 8),
    ) {
        let owner_start = offset + 12;
        let start = owner_start + u64::from(owner_len).next_multiple_of(4);
        if found == kind && slice_at(bytes, owner_start, u64::from(owner_len)) == Some(owner) {
            return slice_at(bytes, start, u64::from(len));
        }
        offset = start + u64::from(len).next_multiple_of(4);
    }
    None
}

/// What the sections tell without reading a single symbol.
fn guess_language(image: &Image) -> Language {
    let has = |name| image.section(name).is_some();
    if has(".gopclntab") || has(".data.rel.ro.gopclntab") || has(".go.buildinfo") {
        return Language::Go;
    }
    let read = |name, len_max| {
        let section = image.section(name)?;
        image.section_data(section)?.read(0, len_max)
    };
    let compilers = read(".comment", NOTES_BYTES_MAX).unwrap_or_default();
    let needed = read(".dynstr", NEEDED_BYTES_MAX).unwrap_or_default();
    if contains(&compilers, b"rustc version") {
        Language::Rust
    } else if contains(&needed, b"libstdc++.so") || contains(&needed, b"libc++.so") {
        Language::Cpp
    } else if [&b"GCC:"[..], b"clang"]
        .iter()
        .any(|mark| contains(&compilers, mark))
        || contains(&needed, b"libc.")
    {
        Language::C
    } else {
        Language::Unknown
    }
}
