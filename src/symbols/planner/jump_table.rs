//! Indirect jumps: which are jump tables, where the tables are and how long.

use std::ops::ControlFlow;

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::ReadOnlyData;

/// A bound beyond this is not one of a jump table.
pub(super) const MAX_ENTRIES: u64 = 1 << 16;

/// How many instructions before a jump are looked at.
const WINDOW: usize = 16;

/// What an indirect jump is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Jump {
    /// Through a pointer at a fixed address, such as the entry of a linkage table: to another
    /// function.
    Leaves,
    /// Through a pointer in an object: to another function, unless this one has code that nothing
    /// else leads to.
    Pointer,
    /// Through a register that nothing nearby explains.
    Unknown,
    /// Through a table.
    Table(Dispatch),
}

/// A jump through a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dispatch {
    pub(super) format: Format,
    pub(super) base: Base,
    /// How many entries the table has, where a comparison before the jump says so.
    pub(super) entries: Option<u64>,
}

/// Where a table is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Base {
    Address(u64),
    /// At a distance from an address that was loaded too far away to be seen.
    Register(Register, u64),
}

/// What the entries of a table are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// Four bytes: the distance of the target from the table's start.
    Relative,
    /// Eight bytes: the target's address.
    Absolute,
}

impl Format {
    /// The size of an entry in bytes.
    pub(super) fn size(self) -> u64 {
        match self {
            Self::Relative => 4,
            Self::Absolute => 8,
        }
    }

    /// The address in the table's entry of that number.
    pub(super) fn target(self, data: &dyn ReadOnlyData, table: u64, number: u64) -> Option<u64> {
        let address = table.checked_add(number.checked_mul(self.size())?)?;
        match self {
            Self::Relative => {
                let bytes = data.read(address, 4)?.try_into().ok()?;
                Some(table.wrapping_add_signed(i32::from_le_bytes(bytes).into()))
            }
            Self::Absolute => {
                let bytes = data.read(address, 8)?.try_into().ok()?;
                Some(u64::from_le_bytes(bytes))
            }
        }
    }
}

/// What a conditional jump proved about a register where it was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    register: Register,
    entries: u64,
}

/// The last instructions of a straight line of code.
pub(super) struct Window {
    recent: [Instruction; WINDOW],
    count: usize,
    guard: Option<Guard>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            recent: [Instruction::default(); WINDOW],
            count: 0,
            guard: None,
        }
    }
}

impl Window {
    /// Forgets everything: a new straight line begins, entered by a jump with that guard.
    pub(super) fn restart(&mut self, guard: Option<Guard>) {
        self.count = 0;
        self.guard = guard;
    }

    pub(super) fn push(&mut self, instruction: &Instruction) {
        self.recent[self.count % WINDOW] = *instruction;
        self.count += 1;
    }

    /// What holds where this conditional jump, the next instruction of the line, is taken.
    pub(super) fn guard_if_taken(&self, jump: &Instruction) -> Option<Guard> {
        let inclusive = match jump.mnemonic() {
            Mnemonic::Jbe => 1,
            Mnemonic::Jb => 0,
            _ => return None,
        };
        let comparison = self.comparison(0)?;
        (comparison.op0_kind() == OpKind::Register).then(|| Guard {
            register: comparison.op0_register().full_register(),
            entries: comparison.immediate(1).saturating_add(inclusive),
        })
    }

    /// What this indirect jump, the next instruction of the line, is.
    pub(super) fn recognise(&self, jump: &Instruction) -> Jump {
        if jump.op0_kind() != OpKind::Register {
            return self.recognise_memory(jump, 0);
        }
        let Some((age, definition)) = self.definition(jump.op0_register(), 0) else {
            return Jump::Unknown;
        };
        match definition.mnemonic() {
            Mnemonic::Add if definition.op1_kind() == OpKind::Register => {
                self.recognise_relative(definition, age)
            }
            Mnemonic::Mov if definition.op1_kind() == OpKind::Memory => {
                self.recognise_memory(definition, age + 1)
            }
            _ => Jump::Unknown,
        }
    }

    /// `8(%rax)` holds a function's address; `table(,%rax,8)` and `(%rdx,%rax,8)` hold those of
    /// code in this one.
    fn recognise_memory(&self, load: &Instruction, age: usize) -> Jump {
        if load.memory_index() != Register::None {
            return Jump::Table(self.dispatch(Format::Absolute, load, age));
        }
        let base = load.memory_base();
        if matches!(base, Register::None | Register::RIP) {
            return Jump::Leaves;
        }
        match self.definition(base, age) {
            // The address of a table's entry, computed beforehand.
            Some((_, definition))
                if definition.mnemonic() == Mnemonic::Add
                    || definition.mnemonic() == Mnemonic::Lea
                        && definition.memory_index() != Register::None =>
            {
                Jump::Unknown
            }
            _ => Jump::Pointer,
        }
    }

    /// `movslq (%rdx,%rax,4),%rax; add %rdx,%rax; jmp *%rax`, where `sum` is the addition.
    fn recognise_relative(&self, sum: &Instruction, age: usize) -> Jump {
        let (left, right) = (sum.op0_register(), sum.op1_register());
        for (offset, base) in [(left, right), (right, left)] {
            if let Some((load_age, load)) = self.offset_load(offset, age + 1) {
                let mut dispatch = self.dispatch(Format::Relative, load, load_age + 1);
                dispatch.base = self.base(base, 0, age + 1);
                return Jump::Table(dispatch);
            }
        }
        Jump::Unknown
    }

    /// The 4-byte load that an offset comes from.
    fn offset_load(&self, offset: Register, age: usize) -> Option<(usize, &Instruction)> {
        let (age, definition) = self.definition(offset, age)?;
        match definition.mnemonic() {
            Mnemonic::Cdqe => self.offset_load(Register::RAX, age + 1),
            Mnemonic::Movsxd if definition.op1_kind() == OpKind::Register => {
                self.offset_load(definition.op1_register(), age + 1)
            }
            Mnemonic::Movsxd => Some((age, definition)),
            Mnemonic::Mov if is_indexed_load(definition) => Some((age, definition)),
            _ => None,
        }
    }

    /// The table that a memory operand reads, seen from the instruction of that age.
    fn dispatch(&self, format: Format, load: &Instruction, age: usize) -> Dispatch {
        let (base, index) = (load.memory_base(), load.memory_index());
        let displacement = load.memory_displacement64();
        let table = match base {
            Register::None => Base::Address(displacement),
            base => self.base(base, displacement, age),
        };
        // Unoptimised code adds a scaled index and the table, in any order.
        let entries = self.bound(index, age).or_else(|| self.bound(base, age));
        let base = match table {
            Base::Register(..) if load.memory_index_scale() == 1 => {
                self.base(index, displacement, age)
            }
            table => table,
        };
        Dispatch {
            format,
            base,
            entries: entries.filter(|&entries| entries <= MAX_ENTRIES),
        }
    }

    /// The table whose address is in a register, seen from the instruction of that age.
    fn base(&self, register: Register, displacement: u64, age: usize) -> Base {
        match self.definition(register, age) {
            Some((_, lea)) if lea.mnemonic() == Mnemonic::Lea && lea.is_ip_rel_memory_operand() => {
                Base::Address(lea.ip_rel_memory_address().wrapping_add(displacement))
            }
            Some((age, copy)) if is_register_copy(copy) => {
                self.base(copy.op1_register(), displacement, age + 1)
            }
            _ => Base::Register(register.full_register(), displacement),
        }
    }

    /// How many values an index can have, from a comparison with a jump before it.
    fn bound(&self, index: Register, age: usize) -> Option<u64> {
        let mut index = Index::Register(index.full_register());
        for age in age.. {
            let Some(instruction) = self.at(age) else {
                break;
            };
            let inclusive = match instruction.mnemonic() {
                Mnemonic::Ja => Some(1),
                Mnemonic::Jae => Some(0),
                _ => None,
            };
            if let Some((inclusive, comparison)) = inclusive.zip(self.comparison(age + 1))
                && index.is_compared_by(comparison)
            {
                return Some(comparison.immediate(1).saturating_add(inclusive));
            }
            match index.before(instruction) {
                ControlFlow::Continue(before) => index = before,
                ControlFlow::Break(bound) => return bound,
            }
        }
        let guard = self.guard?;
        matches!(index, Index::Register(register) if register == guard.register)
            .then_some(guard.entries)
    }

    /// The comparison with a constant whose result still stands at the instruction before `age`.
    fn comparison(&self, age: usize) -> Option<&Instruction> {
        let flags = (age..)
            .map_while(|age| self.at(age))
            .find(|instruction| instruction.rflags_modified() != 0)?;
        (flags.mnemonic() == Mnemonic::Cmp && is_immediate(flags)).then_some(flags)
    }

    /// The last instruction that wrote a register, from that age on.
    fn definition(&self, register: Register, age: usize) -> Option<(usize, &Instruction)> {
        let register = register.full_register();
        (age..)
            .map_while(|age| Some((age, self.at(age)?)))
            .find(|(_, instruction)| writes(instruction, register))
    }

    /// The instruction of that age; 0 is the last one.
    fn at(&self, age: usize) -> Option<&Instruction> {
        (age < self.count.min(WINDOW)).then(|| &self.recent[(self.count - 1 - age) % WINDOW])
    }
}

/// Where the index of a jump table is, followed backwards.
#[derive(Clone, Copy)]
enum Index<'a> {
    Register(Register),
    /// Where that instruction loads it from.
    Memory(&'a Instruction),
}

impl<'a> Index<'a> {
    fn is_compared_by(self, comparison: &Instruction) -> bool {
        match self {
            Self::Register(register) => is_register(comparison, register),
            Self::Memory(load) => is_same_memory(comparison, load),
        }
    }

    /// Where the index was before an instruction, or the number of values that it can have.
    fn before(self, instruction: &'a Instruction) -> ControlFlow<Option<u64>, Self> {
        let register = match self {
            Self::Memory(load) if may_change(instruction, load) => return ControlFlow::Break(None),
            Self::Register(register) if writes(instruction, register) => register,
            _ => return ControlFlow::Continue(self),
        };
        ControlFlow::Continue(match (instruction.mnemonic(), instruction.op1_kind()) {
            (Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsxd, OpKind::Register) => {
                Self::Register(instruction.op1_register().full_register())
            }
            (Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsxd, OpKind::Memory) => {
                Self::Memory(instruction)
            }
            (Mnemonic::Cdqe, _) => Self::Register(register),
            (Mnemonic::Lea, _) if instruction.memory_base() == Register::None => {
                Self::Register(instruction.memory_index().full_register())
            }
            (Mnemonic::And, _) if is_immediate(instruction) => {
                return ControlFlow::Break(Some(instruction.immediate(1).saturating_add(1)));
            }
            _ => return ControlFlow::Break(None),
        })
    }
}

/// Whether it writes the register; only forms that jump tables are made of need to be exact.
fn writes(instruction: &Instruction, register: Register) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push => false,
        // Calls leave nothing behind that a table could depend on.
        Mnemonic::Call => true,
        Mnemonic::Cdqe | Mnemonic::Cwde => register == Register::RAX,
        _ => is_register(instruction, register),
    }
}

fn is_register(instruction: &Instruction, register: Register) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op0_register().full_register() == register
}

fn is_immediate(instruction: &Instruction) -> bool {
    !matches!(instruction.op1_kind(), OpKind::Register | OpKind::Memory)
}

fn is_indexed_load(instruction: &Instruction) -> bool {
    instruction.op1_kind() == OpKind::Memory && instruction.memory_index() != Register::None
}

fn is_register_copy(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov && instruction.op1_kind() == OpKind::Register
}

/// Whether an instruction may change what a load reads.
fn may_change(instruction: &Instruction, load: &Instruction) -> bool {
    let compares = matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test);
    let stores = instruction.op0_kind() == OpKind::Memory && !compares;
    let registers = [load.memory_base(), load.memory_index()];
    stores
        || registers
            .iter()
            .any(|register| writes(instruction, register.full_register()))
}

fn is_same_memory(left: &Instruction, right: &Instruction) -> bool {
    let operand = |instruction: &Instruction| {
        (
            instruction.memory_base(),
            instruction.memory_index(),
            instruction.memory_index_scale(),
            instruction.memory_displacement64(),
        )
    };
    left.op0_kind() == OpKind::Memory && operand(left) == operand(right)
}
