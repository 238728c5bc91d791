//! What the end-to-end tests share: targets that know the truth, and the program under test.
#![allow(dead_code)] // each test program uses its own part
#![allow(clippy::print_stderr, clippy::unwrap_used)] // all of this is tests

pub(crate) mod code;
pub(crate) mod compile;
pub(crate) mod coral;
pub(crate) mod exact;
pub(crate) mod http;
pub(crate) mod lines;
pub(crate) mod rights;
pub(crate) mod session;
pub(crate) mod target;
pub(crate) mod tree;

/// The value of a result, or the end of the test, which is then skipped with the error as reason.
macro_rules! need {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(reason) => return $crate::common::skip(&reason),
        }
    };
}
pub(crate) use need;

/// Says that this test is skipped, and why; fails instead where skipping is not allowed.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let message = format!("skipped: {}: {reason}", thread.name().unwrap_or("a test"));
    let required = std::env::var("CORAL_REQUIRE_KERNEL").is_ok_and(|value| value == "1");
    assert!(!required, "{message}");
    eprintln!("{message}");
}
