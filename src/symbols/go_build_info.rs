//! What Go's linker says about the modules of a program.

use super::image::Image;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// In the byte behind the magic and the pointer size: strings follow the header, as they do since
/// Go 1.18. Before, it had pointers to them.
const FLAGS_AT: usize = 15;
const HAS_INLINE_STRINGS: u8 = 2;
const STRINGS_AT: usize = 32;
/// The module information stands between two marks of this length.
const MARK_LEN: usize = 16;
const BUILD_INFO_BYTES_MAX: u64 = 1 << 20;

/// The modules whose sources are under the developer's hands: the program's own, and those of
/// its workspace. Empty where nothing is said of modules.
pub(super) fn own_modules(image: &Image) -> Vec<String> {
    let read = || parse_modules(parse(&bytes(image)?)?.1);
    read().unwrap_or_default()
}

/// The version of Go that it was made by, as in `1.27` of `go1.27.3`. `None` where that is not
/// said, or is no released version.
pub(super) fn version(image: &Image) -> Option<(u32, u32)> {
    parse_version(parse(&bytes(image)?)?.0)
}

fn bytes(image: &Image) -> Option<Vec<u8>> {
    let section = image.section_data(image.section(".go.buildinfo")?)?;
    section.read(0, BUILD_INFO_BYTES_MAX)
}

/// The version, and the module information between its marks.
fn parse(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let has_strings = bytes.get(FLAGS_AT)? & HAS_INLINE_STRINGS != 0;
    if !bytes.starts_with(MAGIC) || !has_strings {
        return None;
    }
    let (version, rest) = split_string(bytes.get(STRINGS_AT..)?)?;
    Some((version, split_string(rest)?.0))
}

fn parse_version(text: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix("go")?;
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    let mut number = || parts.next()?.parse().ok();
    Some((number()?, number()?))
}

/// The modules of the information that lies between marks.
fn parse_modules(marked: &[u8]) -> Option<Vec<String>> {
    let information = marked.get(MARK_LEN..marked.len().checked_sub(MARK_LEN)?)?;
    let lines = std::str::from_utf8(information).ok()?.lines();
    Some(lines.filter_map(own_module).map(str::to_owned).collect())
}

/// The module of a line `mod <path> <version> ...`, or `dep <path> (devel) ...`.
fn own_module(line: &str) -> Option<&str> {
    let mut fields = line.split('\t');
    match (fields.next()?, fields.next()?, fields.next()) {
        ("mod", path, _) | ("dep", path, Some("(devel)")) => (!path.is_empty()).then_some(path),
        _ => None,
    }
}

/// A string behind its length, and what follows it.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len: u64 = 0;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes
                .get(index + 1..)?
                .split_at_checked(usize::try_from(len).ok()?);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(information: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([8, HAS_INLINE_STRINGS]);
        bytes.resize(STRINGS_AT, 0);
        let marked = format!("{0}{information}{0}", "m".repeat(MARK_LEN));
        for text in ["go1.27", &marked] {
            let mut len = text.len();
            while len >= 0x80 {
                bytes.push(len as u8 | 0x80);
                len >>= 7;
            }
            bytes.push(len as u8);
            bytes.extend(text.bytes());
        }
        bytes
    }

    #[test]
    fn own_modules_are_those_without_a_published_version() {
        let information = "path\texample.com/shop/cmd\nmod\texample.com/shop\tv1.2.3\th1:x=\n\
            dep\tgithub.com/other/lib\tv1.0.0\th1:y=\ndep\texample.com/common\t(devel)\t\n\
            build\t-compiler=gc\n";
        let section = section(information);
        let (version, marked) = parse(&section).unwrap();
        assert_eq!(parse_version(version), Some((1, 27)));
        let modules = parse_modules(marked).unwrap();
        assert_eq!(modules, ["example.com/shop", "example.com/common"]);
    }

    #[test]
    fn versions_are_those_of_releases() {
        for (text, expected) in [
            ("go1.21.13", Some((1, 21))),
            ("go1.25rc1", Some((1, 25))),
            ("go1.24 X:nocoverageredesign", Some((1, 24))),
            ("devel go1.28-0123456", None),
            ("go", None),
        ] {
            assert_eq!(parse_version(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_cut_section_says_nothing() {
        let bytes = section("mod\texample.com/shop\t(devel)\t\n");
        assert!(parse(&bytes).is_some());
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), None, "{len}");
        }
    }
}
