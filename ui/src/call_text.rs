//! Values and stacks of single calls in words. They are as they came from the target: who shows or
//! writes them neutralises them for that.

use coral_model::{CallValue, StackFrame};

/// An argument or a result: `amount int = 100`.
pub(crate) fn value(value: &CallValue) -> String {
    format!("{} {} = {}", value.name, value.type_name, value.value)
}

/// A frame of a stack: its function, and where in the source it is, if that is known.
pub(crate) fn frame(frame: &StackFrame) -> String {
    match place(frame) {
        Some(place) => format!("{} {place}", frame.function),
        None => frame.function.clone(),
    }
}

/// Where in the source a frame is: `/src/shop/cart.go:57`.
pub(crate) fn place(frame: &StackFrame) -> Option<String> {
    let (file, line) = (frame.file.as_ref()?, frame.line?);
    Some(format!("{file}:{line}"))
}
