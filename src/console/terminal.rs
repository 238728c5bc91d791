//! The terminal: entered once, left exactly once, whatever happens.

use std::backtrace::Backtrace;
use std::io::{self, Stdout, Write};
use std::mem::ManuallyDrop;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};

use super::{input, log};

/// Whether the terminal's modes are ours: whoever takes this from true to false restores them.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Whether probes are an agent's, and stay where this program fails.
static PROBES_OUTLIVE: AtomicBool = AtomicBool::new(false);

/// The terminal in its full-screen modes. Dropping it restores it.
pub(super) struct Terminal {
    /// Not dropped: it would show the cursor, which is done already, and panic where it cannot
    /// because the terminal was closed.
    inner: ManuallyDrop<ratatui::Terminal<CrosstermBackend<Stdout>>>,
    mouse: bool,
}

/// Sets the terminal's modes, and sees to it that a panic on any thread restores them. Without
/// `mouse` the terminal keeps the mouse for itself.
pub(super) fn enter(mouse: bool) -> io::Result<Terminal> {
    install_panic_hook();
    set_modes(mouse)?;
    let inner = ratatui::Terminal::new(CrosstermBackend::new(io::stdout()))?;
    Ok(Terminal {
        inner: ManuallyDrop::new(inner),
        mouse,
    })
}

impl Terminal {
    /// Draws a frame as one update, so that no half of it is ever seen.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        // A panic on another thread waits for the end of the frame, and lets no other one begin.
        let _stdout = io::stdout().lock();
        queue!(self.inner.backend_mut(), BeginSynchronizedUpdate)?;
        self.inner.draw(draw)?;
        execute!(self.inner.backend_mut(), EndSynchronizedUpdate)
    }

    /// Leaves the terminal to the shell until the program is continued.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        restore();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        self.enter_again()
    }

    /// Leaves the terminal to another program until that ends; whether it ended well.
    pub(super) fn lend(&mut self, command: &mut std::process::Command) -> io::Result<bool> {
        let held = input::hold();
        restore();
        let status = command.status();
        self.enter_again()?;
        drop(held);
        Ok(status?.success())
    }

    fn enter_again(&mut self) -> io::Result<()> {
        set_modes(self.mouse)?;
        // Everything is drawn again. Not by `clear`, which asks the terminal where its cursor is:
        // not every terminal answers.
        let area = Rect::from((Position::ORIGIN, self.inner.size()?));
        self.inner.resize(area)
    }

    /// Puts text on the clipboard, through the terminal, so that it works over SSH as well.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(
            self.inner.backend_mut(),
            crossterm::clipboard::CopyToClipboard::to_clipboard_from(text)
        )
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// The probes are not this program's own: should it fail, they go on until their lease ends.
pub(super) fn let_probes_outlive() {
    PROBES_OUTLIVE.store(true, Ordering::SeqCst);
}

fn set_modes(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    ENTERED.store(true, Ordering::SeqCst);
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        cursor::Hide
    )?;
    if mouse {
        execute!(io::stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// Gives the terminal back as it was; does nothing where that is done already.
fn restore() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    // Each on its own: a failure of one must not keep the others from being tried.
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// A panic anywhere ends the program, with a terminal that works and a word on what happened. The
/// kernel takes the probes out when the process ends.
fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        // Kept to the end: the loop must not draw on a screen that is the shell's again.
        let _stdout = io::stdout().lock();
        restore();
        let report = report(info);
        let place = match log::append(&report) {
            Ok(path) => format!("the log is {}", path.display()),
            Err(error) => format!("the log could not be written: {error}\n{report}"),
        };
        let probes = if PROBES_OUTLIVE.load(Ordering::SeqCst) {
            "the agent's probes go with their lease"
        } else {
            "every probe is gone"
        };
        // Not `eprintln!`, which panics where stderr is closed.
        let _ = writeln!(
            io::stderr(),
            "error[panic]: coral-tui failed: {}\n\
             help: {probes}; please report this, {place}",
            message(info)
        );
        std::process::exit(101);
    }));
}

fn report(info: &PanicHookInfo<'_>) -> String {
    format!("{}\n{}", message(info), Backtrace::force_capture())
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("no reason was given");
    match info.location() {
        Some(place) => format!("{what} ({}:{})", place.file(), place.line()),
        None => what.to_owned(),
    }
}
