//! The list of functions of files that are small, odd, or damaged.

use std::io::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Where the code is loaded, and where it stands in the file: not the same, as with all linkers
/// that align segments.
const CODE_ADDRESS: u64 = 0x40_1000;
const CODE_OFFSET: u64 = 64;
const CODE_LEN: u64 = 0x100;
const FUNCTION: u8 = 2;

#[test]
fn offsets_are_counted_from_the_beginning_of_the_file() {
    let index = read(&elf(&[
        ("handleCheckout", CODE_ADDRESS + 0x20, FUNCTION),
        ("handleCheckout", CODE_ADDRESS + 0x20, FUNCTION),
        ("alias", CODE_ADDRESS + 0x20, FUNCTION),
        ("twice", CODE_ADDRESS + 0x30, FUNCTION),
        ("twice", CODE_ADDRESS + 0x40, FUNCTION),
        ("handleCheckout.cold", CODE_ADDRESS + 0x50, FUNCTION),
        ("data", CODE_ADDRESS + 0x60, 1),
        ("behind the code", CODE_ADDRESS + CODE_LEN, FUNCTION),
        ("before the code", CODE_ADDRESS - 1, FUNCTION),
    ]));
    let index = index.unwrap();
    let all: Vec<_> = (0..index.len())
        .map(|at| (index.name(at), index.info(at).offset))
        .collect();
    let at = |within| CODE_OFFSET + within;
    let expected = [
        ("alias", at(0x20)),
        ("handleCheckout", at(0x20)),
        ("twice", at(0x30)),
        ("twice", at(0x40)),
    ];
    assert_eq!(all, expected);
    assert_eq!(index.offsets("handleCheckout"), [at(0x20)]);
    assert_eq!(index.offsets("twice"), [at(0x30), at(0x40)]);
    assert_eq!(index.offsets("handle"), []);
}

#[test]
fn names_that_are_too_long_are_left_out_and_counted() {
    let longest = "a".repeat(demangle::NAME_BYTES_MAX);
    let too_long = "b".repeat(demangle::NAME_BYTES_MAX + 1);
    let symbols = [&*longest, &too_long, ""].map(|name| (name, CODE_ADDRESS, FUNCTION));
    let index = read(&elf(&symbols)).unwrap();
    assert_eq!((index.len(), index.left_out), (1, 2));
}

#[test]
fn long_names_make_short_pages() {
    let names: Vec<String> = (0..200)
        .map(|at| format!("{at:03}{}", "a".repeat(16_000)))
        .collect();
    let symbols: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), CODE_ADDRESS, FUNCTION))
        .collect();
    let index = read(&elf(&symbols)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut found = Vec::new();
    let mut next = Some(0);
    while let Some(start) = next {
        let page = page(&index, None, start, 10_000, deadline);
        let bytes: usize = page.functions.iter().map(|info| info.name.len() + 64).sum();
        assert!(bytes < coral_proto::MESSAGE_BYTES_MAX && !page.functions.is_empty());
        found.extend(page.functions.into_iter().map(|info| info.name));
        next = page.next;
    }
    assert_eq!(found, names);
}

#[test]
fn a_page_that_takes_too_long_is_short_and_still_gets_on() {
    let names: Vec<String> = (0..100).map(|at| format!("f{at}")).collect();
    let symbols: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), CODE_ADDRESS, FUNCTION))
        .collect();
    let index = read(&elf(&symbols)).unwrap();
    let pattern = compile("never").unwrap();
    let mut starts = vec![0];
    while let Some(next) = page(
        &index,
        pattern.as_ref(),
        starts[starts.len() - 1],
        10,
        Instant::now(),
    )
    .next
    {
        starts.push(next);
    }
    assert!(
        starts.is_sorted_by(|a, b| a < b) && starts.len() > 1,
        "{starts:?}"
    );
}

#[test]
fn what_is_no_program_is_refused() {
    assert!(matches!(read(b""), Err(IndexError::Damaged(_))));
    assert!(matches!(read(&[b'a'; 4096]), Err(IndexError::NotSupported)));
    let mut without_symbols = elf(&[]);
    let sections_at = without_symbols.len() - 3 * 64;
    without_symbols[sections_at + 64 + 4] = 0;
    assert!(matches!(read(&without_symbols), Err(IndexError::NoSymbols)));
}

proptest! {
    #[test]
    fn damage_is_an_error_or_a_shorter_list(
        len in any::<proptest::sample::Index>(),
        damages in prop::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = elf(&[("a", CODE_ADDRESS, FUNCTION), ("b", CODE_ADDRESS + 1, FUNCTION)]);
        for (at, value) in damages {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for bytes in [&bytes[..], &bytes[..len.index(bytes.len())]] {
            if let Ok(index) = read(bytes) {
                prop_assert!(index.len() <= bytes.len() / 24);
            }
        }
    }

    #[test]
    fn any_pattern_is_compiled_or_refused(pattern in any::<String>()) {
        let _compiled = compile(&pattern);
    }
}

fn read(bytes: &[u8]) -> Result<Index, IndexError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Index::read(&Executable {
        file,
        path: "/checkout".to_owned(),
    })
}

/// A file with one segment of code and these symbols: names, addresses and kinds.
fn elf(symbols: &[(&str, u64, u8)]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut table = Vec::new();
    for (name, address, kind) in symbols {
        table.extend(word(strings.len() as u32));
        table.extend([*kind, 0, 1, 0]);
        table.extend(address.to_ne_bytes());
        table.extend(16_u64.to_ne_bytes());
        strings.extend(name.bytes());
        strings.push(0);
    }
    let segment_at = CODE_OFFSET + CODE_LEN;
    let table_at = segment_at + 56;
    let strings_at = table_at + table.len() as u64;
    let sections_at = strings_at + strings.len() as u64;
    let mut file = file_header(segment_at, sections_at);
    file.resize(segment_at as usize, 0x90);
    // PT_LOAD, readable and executable.
    file.extend([word(1), word(5)].concat());
    let numbers = [
        CODE_OFFSET,
        CODE_ADDRESS,
        CODE_ADDRESS,
        CODE_LEN,
        CODE_LEN,
        0x1000,
    ];
    file.extend(numbers.map(u64::to_ne_bytes).concat());
    file.extend(&table);
    file.extend(&strings);
    file.extend([0; 64]);
    file.extend(section(2, table_at, table.len(), 2));
    file.extend(section(3, strings_at, strings.len(), 0));
    file
}

fn file_header(segment_at: u64, sections_at: u64) -> Vec<u8> {
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    let mut header = vec![
        0x7f, b'E', b'L', b'F', 2, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    header.extend([2_u16, 62].map(u16::to_ne_bytes).concat());
    header.extend(word(1));
    header.extend([0, segment_at, sections_at].map(u64::to_ne_bytes).concat());
    header.extend(word(0));
    header.extend([64_u16, 56, 1, 64, 3, 2].map(u16::to_ne_bytes).concat());
    header
}

fn section(kind: u32, at: u64, len: usize, link: u32) -> Vec<u8> {
    let mut header = [word(0), word(kind)].concat();
    header.extend([0, 0, at, len as u64].map(u64::to_ne_bytes).concat());
    header.extend([word(link), word(0)].concat());
    header.extend([0_u64, 0].map(u64::to_ne_bytes).concat());
    header
}

fn word(value: u32) -> [u8; 4] {
    value.to_ne_bytes()
}
