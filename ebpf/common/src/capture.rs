//! Values of arguments and results: how the program reads one, what it keeps of it, and the
//! filter over them.

/// How many arguments, and how many results, of a function are read at most.
pub const VALUES_MAX: usize = 6;
/// How many bytes are kept of one value.
pub const VALUE_BYTES: usize = 112;
/// How many comparisons one filter has at most: its truth table has a bit for each combination.
pub const PREDICATES_MAX: usize = 8;
/// How many bytes of a string a filter compares.
pub const PREDICATE_BYTES: usize = 48;
/// [`ValueSpec::base`] of what lies at the stack pointer that the function was entered with.
/// Registers have their DWARF numbers, 0 to 15.
pub const BASE_STACK: u8 = 16;
/// [`ValueSpec::base`] and [`ErrorTest::register`] of a result that is in memory: what [`RDI`] held
/// at the entry. Compilers leave it in RAX at the exit only if others than they call the function.
pub const BASE_RESULT: u8 = 17;
/// The register that points to the memory for the result at the entry, by its DWARF number.
pub const RDI: u8 = 5;
/// How many registers have numbers.
pub const REGISTERS: usize = 16;
/// The most dereferences of one value.
pub const STEPS_MAX: usize = 3;

/// What a value is, as far as reading it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ValueKind {
    /// There is none.
    None = 0,
    /// An integer, a truth value or a pointer of [`ValueSpec::len`] bytes: the chain's result.
    Word = 1,
    /// The same with a sign.
    SignedWord = 2,
    /// [`ValueSpec::len`] bytes at the chain's result.
    Memory = 3,
    /// Bytes whose address is in the register `base` and whose length is in the register `second`.
    String = 4,
    /// Bytes whose address and length lie at the chain's result, one after the other.
    StringAt = 5,
    /// Bytes at the chain's result, up to a zero.
    CString = 6,
    /// A Go interface: its type word in the register `base`, its data word in `second`.
    Interface = 7,
    /// A Go interface whose two words lie at the chain's result.
    InterfaceAt = 8,
}

/// How one value is read.
///
/// The chain begins with the register `base`, or with the stack pointer at the function's entry.
/// `steps` times it is replaced by the 8 bytes at itself plus the next of `offsets`; then the
/// offset after those is added.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueSpec {
    /// A [`ValueKind`].
    pub kind: u8,
    /// The register that the chain begins with, or [`BASE_STACK`], or [`BASE_RESULT`].
    pub base: u8,
    /// The register of the second word, where there is one.
    pub second: u8,
    /// How many dereferences there are, at most [`STEPS_MAX`].
    pub steps: u8,
    /// The size of a word (1, 2, 4, 8); of memory and strings, the most bytes that are kept.
    pub len: u32,
    /// What is added before each dereference, and at the end.
    pub offsets: [i32; STEPS_MAX + 1],
}

/// Everything was read.
pub const STATUS_OK: u8 = 0;
/// The memory could not be read.
pub const STATUS_FAULT: u8 = 1;
/// There is more than was kept.
pub const STATUS_TRUNCATED: u8 = 2;
/// There is no string: its pointer is null.
pub const STATUS_NULL: u8 = 3;

/// A value that was read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Captured {
    /// One of the `STATUS_` constants.
    pub status: u8,
    /// The [`ValueKind`] it was read as.
    pub kind: u8,
    /// How many of `bytes` are the value's.
    pub len: u16,
    /// Unused.
    pub padding: u32,
    /// The word itself, extended to 64 bits; the whole length of a string; the type word of an
    /// interface.
    pub word: u64,
    /// The bytes. Of an interface: its data word, then the 16 bytes that it points to, then, if
    /// these are a string's address and length, the string.
    pub bytes: [u8; VALUE_BYTES],
}

/// The values of one call's entry or exit.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CapturedValues {
    /// How many of them there are.
    pub len: u32,
    /// Unused.
    pub padding: u32,
    /// The registers that they were read from, by their DWARF numbers.
    pub registers: [u64; REGISTERS],
    /// The values in the order of the specs.
    pub values: [Captured; VALUES_MAX],
}

/// One comparison of a value with a constant. A value that could not be read fails all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Test {
    /// The word equals the constant.
    Equal = 0,
    /// The word is below the constant, both without sign.
    Below = 1,
    /// The word is below the constant, both with sign.
    SignedBelow = 2,
    /// The bytes equal the constant bytes, in length too.
    BytesEqual = 3,
    /// The bytes begin with the constant bytes.
    BytesBegin = 4,
}

/// A comparison of a filter.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Predicate {
    /// Which of the captured arguments, by its place in the specs.
    pub value: u8,
    /// A [`Test`].
    pub test: u8,
    /// How many of `bytes` are compared.
    pub len: u8,
    /// Unused.
    pub padding: [u8; 5],
    /// What a word is compared with.
    pub constant: u64,
    /// What bytes are compared with; zeros behind them.
    pub bytes: [[u8; 16]; PREDICATE_BYTES / 16],
}

/// Which calls are wanted, by their arguments.
///
/// The outcomes of the predicates, the first in the lowest bit, make a number; the bit of that
/// number in the truth table is the filter's outcome. So the program evaluates every Boolean
/// expression without knowing its shape.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// How many predicates there are; without any, every call is wanted.
    pub len: u32,
    /// Unused.
    pub padding: u32,
    /// The truth table: bit `n % 64` of word `n / 64`.
    pub table: [u64; 4],
    /// The predicates.
    pub predicates: [Predicate; PREDICATES_MAX],
}

/// How a call's outcome is told at its exit.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorTest {
    /// 0: it cannot be told; 1: by the register; 2: by memory at the register plus `offset`.
    pub kind: u8,
    /// The register, by its DWARF number, or [`BASE_RESULT`].
    pub register: u8,
    /// How many bytes are compared: 1, 2, 4 or 8.
    pub size: u8,
    /// 1: it failed unless they equal `value`; 0: it failed if they do.
    pub unless: u8,
    /// See `kind`.
    pub offset: i32,
    /// What they are compared with.
    pub value: u64,
}

/// How the polls of a Rust future are joined into one call: its first argument points to it, and
/// a number in it tells how far it has come (0: not begun, 1: done, 2: panicked, more: waiting).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FutureSpec {
    /// 1 if the function polls a future.
    pub enabled: u8,
    /// The size of the number: 1, 2, 4.
    pub size: u8,
    /// The register that points to the future at the entry, by its DWARF number: 5 or 4.
    pub register: u8,
    /// Unused.
    pub padding: u8,
    /// Where the number lies in the future.
    pub offset: u32,
}

/// What is read of a function's calls, beside their time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionDetail {
    /// How many of `arguments` there are.
    pub arguments_len: u32,
    /// How many of `results` there are.
    pub results_len: u32,
    /// Read at the entry.
    pub arguments: [ValueSpec; VALUES_MAX],
    /// Read at the exit.
    pub results: [ValueSpec; VALUES_MAX],
    /// Whether a call failed.
    pub error: ErrorTest,
    /// Whether its calls are polls.
    pub future: FutureSpec,
}
