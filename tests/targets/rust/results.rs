//! Functions that return an error or not, in layouts that a tool has to tell apart.

use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::io;
use std::num::NonZeroU32;

use crate::truth::{Count, Scenario};
use crate::{mix, sum_of};

// result: errors that are returned, and passed on.
static CHECKED: Count = Count::new("target::results::checked");
#[inline(never)]
fn checked(x: u64) -> Result<u64, String> {
    let call = CHECKED.enter();
    call.leave_with(if x % 3 == 0 {
        Err(format!("{x} is divisible"))
    } else {
        Ok(mix(x, 3))
    })
}

static PASSED_ON: Count = Count::new("target::results::passed_on");
#[inline(never)]
fn passed_on(x: u64) -> Result<u64, String> {
    let call = PASSED_ON.enter();
    let Ok(first) = checked(x) else {
        return call.leave_with(Err("first".into()));
    };
    let second = checked(x + 1);
    call.leave_with(second.map(|second| mix(first, second)))
}

fn run_result(n: u64) -> u64 {
    sum_of(n, |i| {
        passed_on(i).unwrap_or_else(|error| error.len() as u64)
    })
}

/// Defines a function that fails for every number that a divisor divides.
macro_rules! fallible {
    ($name:ident, $count:ident, $result:ty, $ok:expr, $error:expr) => {
        static $count: Count = Count::new(concat!("target::results::", stringify!($name)));
        #[inline(never)]
        fn $name(x: u64) -> $result {
            let call = $count.enter();
            let x = black_box(x);
            call.leave_with(if x % 5 == 0 {
                Err($error(x))
            } else {
                Ok($ok(x))
            })
        }
    };
}

#[derive(Debug)]
enum Refusal {
    Late(u64),
    Full(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Error for Refusal {}

impl Refusal {
    fn of(x: u64) -> Self {
        if x % 2 == 0 {
            Self::Late(x)
        } else {
            Self::Full(x.to_string())
        }
    }
}

fn same(x: u64) -> u64 {
    x
}

fn nothing(_: u64) {}

fn boxed(x: u64) -> Box<dyn Error> {
    Box::new(Refusal::of(x))
}

fn number(x: u64) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(x as u32)
}

fn refused(x: u64) -> io::Error {
    io::Error::other(x.to_string())
}

fallible!(words, WORDS, Result<u64, u64>, same, same);
fallible!(unit_or_box, UNIT_OR_BOX, Result<(), Box<dyn Error>>, nothing, boxed);
fallible!(text_or_enum, TEXT_OR_ENUM, Result<String, Refusal>, |x: u64| x.to_string(), Refusal::of);
fallible!(bytes, BYTES, Result<u8, u8>, |x| x as u8, |x| x as u8);
fallible!(number_or_unit, NUMBER_OR_UNIT, Result<NonZeroU32, ()>, number, nothing);
fallible!(unit_or_io, UNIT_OR_IO, io::Result<()>, nothing, refused);
fallible!(large, LARGE, Result<[u64; 8], Refusal>, |x| [x; 8], Refusal::of);

fn run_layouts(n: u64) -> u64 {
    sum_of(n, |i| {
        let failed = [
            words(i).is_err(),
            unit_or_box(i).is_err(),
            text_or_enum(i).is_err_and(|refusal| match refusal {
                Refusal::Late(x) => x == i,
                Refusal::Full(text) => !text.is_empty(),
            }),
            bytes(i).is_err(),
            number_or_unit(i).is_err(),
            unit_or_io(i).is_err(),
            large(i).is_err(),
        ];
        failed
            .iter()
            .fold(i, |sum, &failed| mix(sum, u64::from(failed)))
    })
}

// option: an absent value is no error.
static FOUND: Count = Count::new("target::results::found");
#[inline(never)]
fn found(x: u64) -> Option<String> {
    let call = FOUND.enter();
    call.leave((x % 2 == 0).then(|| x.to_string()))
}

fn run_option(n: u64) -> u64 {
    sum_of(n, |i| {
        found(black_box(i)).map_or(1, |text| text.len() as u64)
    })
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("result", run_result, 900, const { &[&PASSED_ON, &CHECKED] }).with_errors(),
    Scenario::new(
        "layouts",
        run_layouts,
        500,
        const {
            &[
                &WORDS,
                &UNIT_OR_BOX,
                &TEXT_OR_ENUM,
                &BYTES,
                &NUMBER_OR_UNIT,
                &UNIT_OR_IO,
                &LARGE,
            ]
        },
    )
    .with_errors(),
    Scenario::new("option", run_option, 500, const { &[&FOUND] }),
];
