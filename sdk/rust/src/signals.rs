//! Keeps the application's signals away from the background thread.

#![allow(unsafe_code)] // the mask of signals is only reached by calls into libc

use std::mem::MaybeUninit;
use std::ptr;

/// Runs `action`, which starts a thread, with all signals blocked. The thread inherits that: an
/// application that waits for signals on a thread of its own gets all of them, as ever.
pub(crate) fn with_all_blocked<T>(action: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both places are valid for writes, and sigfillset writes `all` before it is read.
    let is_blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = action();
    if is_blocked {
        // SAFETY: the call above succeeded, so it has written `before`.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    result
}
