//! A terminal with the program in it: a pty, read by a thread into a screen that tests wait for.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::common::lines::{DEADLINE, eventually};
use crate::common::target::Target;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_coral-tui");

/// What is on outside of full-screen programs: the cursor. The number of its mode.
const CURSOR: &str = "25";

/// Columns and rows that show every column and pane.
pub(crate) const LARGE: (u16, u16) = (160, 48);

/// What ends a synchronized update: until then the screen is half drawn.
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// Held while a pty is opened and while a process is started: a process that is started between
/// the opening and the close-on-exec flag would hold the other's terminal open.
static STARTING: Mutex<()> = Mutex::new(());

/// A program in a terminal of its own, in an empty folder of its own. Dropping it kills it.
pub(crate) struct Terminal {
    shared: Arc<Shared>,
    program: Program,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    /// The modes that the terminal driver had before: echo, line editing, signals.
    driver_modes: String,
    reader: JoinHandle<()>,
    folder: TempDir,
}

/// The program itself. Dropping it kills it.
struct Program(Box<dyn Child + Send + Sync>);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// Everything that has arrived.
pub(crate) struct Seen {
    parser: vt100::Parser,
    /// Every byte, and how many of them the parser has taken.
    bytes: Vec<u8>,
    parsed: usize,
    /// The screen at the end of the last synchronized update, and the number of these.
    pub(crate) frame: String,
    pub(crate) frames: usize,
    has_ended: bool,
    /// Whether the window is closed: nothing more is read.
    is_closed: bool,
}

/// How a program has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) status: u32,
    /// What was written after the full-screen modes were left and the cursor was shown.
    pub(crate) said: String,
}

impl End {
    /// The end of a program that was asked to end, and says nothing more.
    pub(crate) fn in_order() -> Self {
        Self {
            status: 0,
            said: String::new(),
        }
    }
}

/// A terminal of a size with `coral-tui` and arguments in it.
pub(crate) fn start(size: (u16, u16), arguments: &[&str]) -> Terminal {
    start_with(size, arguments, &[])
}

/// The same with variables in its environment.
pub(crate) fn start_with(
    size: (u16, u16),
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Terminal {
    let command = [&[PROGRAM], arguments].concat();
    Terminal::start(size, &command, variables)
}

/// Starts a target, as [`Target::spawn`] does.
pub(crate) fn spawn_target(binary: &Path) -> Target {
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    Target::spawn(binary)
}

impl Terminal {
    /// A terminal of a size with a command in it.
    pub(crate) fn start(size: (u16, u16), command: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = CommandBuilder::new(command[0]);
        builder.args(&command[1..]);
        builder.cwd(folder.path());
        for inherited in ["LC_ALL", "LC_CTYPE", "NO_COLOR", "COLORTERM", "COLORFGBG"] {
            builder.env_remove(inherited);
        }
        builder.env("TERM", "xterm-256color");
        builder.env("LANG", "C.UTF-8");
        builder.env("XDG_STATE_HOME", folder.path().join("state"));
        builder.env("XDG_CONFIG_HOME", folder.path().join("config"));
        for (name, value) in variables {
            builder.env(name, value);
        }
        let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let pty = native_pty_system().openpty(pty_size(size)).unwrap();
        let driver_modes = driver_modes(&*pty.master);
        let child = pty.slave.spawn_command(builder).unwrap();
        drop(starting);
        // The program alone holds the other side: its end is the end of what can be read.
        drop(pty.slave);
        let shared = Arc::new(Shared {
            seen: Mutex::new(Seen::of(size)),
            changed: Condvar::new(),
        });
        let output = pty.master.try_clone_reader().unwrap();
        let reading = Arc::clone(&shared);
        Self {
            shared,
            reader: std::thread::spawn(move || reading.read_all(output)),
            program: Program(child),
            keyboard: pty.master.take_writer().unwrap(),
            master: pty.master,
            driver_modes,
            folder,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.0.process_id().unwrap()
    }

    /// The folder that the program was started in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Types on the keyboard.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Changes the terminal's size.
    pub(crate) fn resize(&self, size: (u16, u16)) {
        let (columns, rows) = cells(size);
        self.shared.lock().parser.set_size(rows, columns);
        self.master.resize(pty_size(size)).unwrap();
    }

    /// Waits until the screen is as it should be, and returns it.
    pub(crate) fn wait_for(&self, is_so: impl Fn(&str) -> bool) -> String {
        self.wait_until(|seen| is_so(&seen.frame).then(|| seen.frame.clone()))
    }

    /// Waits until the screen holds a text, and returns it.
    pub(crate) fn wait_for_text(&self, text: &str) -> String {
        self.wait_for(|frame| frame.contains(text))
    }

    /// Waits until a question about what has arrived has an answer.
    pub(crate) fn wait_until<T>(&self, answer: impl Fn(&Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut seen = self.shared.lock();
        loop {
            if let Some(answer) = answer(&seen) {
                return answer;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!seen.has_ended, "the program has ended:\n{}", seen.text());
            assert!(!left.is_zero(), "the screen stays at:\n{}", seen.text());
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits for the end of the program; the terminal must then be as it was before.
    pub(crate) fn end(&mut self) -> End {
        self.wait_until(|seen| seen.has_ended.then_some(()));
        let status = self.program.0.wait().unwrap().exit_code();
        self.assert_restored();
        let output = self.output();
        let (_, said) = output.rsplit_once("\x1b[?1049l\x1b[?25h").unwrap();
        End {
            status,
            said: said.to_owned(),
        }
    }

    /// The terminal is as it was before the program was started.
    pub(crate) fn assert_restored(&self) {
        assert_eq!(driver_modes(&*self.master), self.driver_modes);
        assert_eq!(modes_on(&self.output()), BTreeSet::from([CURSOR]));
    }

    /// Everything that the program has written so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8(self.shared.lock().bytes.clone()).unwrap()
    }

    /// How many frames were drawn so far.
    pub(crate) fn frames(&self) -> usize {
        self.shared.lock().frames
    }

    /// Closes the terminal as one closes a window, and waits for the end of the program.
    pub(crate) fn close(mut self) -> u32 {
        self.shared.lock().is_closed = true;
        // It notices with the next frame.
        assert!(eventually(|| self.reader.is_finished()));
        drop((self.keyboard, self.master));
        self.program.0.wait().unwrap().exit_code()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        // A test that failed while it looked at the screen has changed nothing.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_all(&self, mut output: impl Read) {
        let mut chunk = [0; 4096];
        loop {
            // A terminal without a program answers with an error.
            let len = output.read(&mut chunk).unwrap_or(0);
            let mut seen = self.lock();
            seen.take(&chunk[..len]);
            seen.has_ended = len == 0;
            self.changed.notify_all();
            if seen.has_ended || seen.is_closed {
                return;
            }
        }
    }
}

impl Seen {
    fn of(size: (u16, u16)) -> Self {
        let (columns, rows) = cells(size);
        Self {
            parser: vt100::Parser::new(rows, columns, 0),
            bytes: Vec::new(),
            parsed: 0,
            frame: String::new(),
            frames: 0,
            has_ended: false,
            is_closed: false,
        }
    }

    /// Whether a text is anywhere in what was written so far.
    pub(crate) fn has_written(&self, text: &str) -> bool {
        let mut places = self.bytes.windows(text.len());
        places.any(|bytes| bytes == text.as_bytes())
    }

    /// The screen as it is now, perhaps half drawn.
    pub(crate) fn text(&self) -> String {
        self.parser.screen().contents()
    }

    fn take(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        while let Some(end) = self.end_of_frame() {
            self.parse_to(end);
            self.frame = self.text();
            self.frames += 1;
        }
        self.parse_to(self.bytes.len());
    }

    /// Where the next frame ends; its mark may have come in two chunks.
    fn end_of_frame(&self) -> Option<usize> {
        let from = self.parsed.saturating_sub(FRAME_END.len() - 1);
        let mut places = self.bytes[from..].windows(FRAME_END.len());
        let place = places.position(|bytes| bytes == FRAME_END)?;
        Some(from + place + FRAME_END.len())
    }

    fn parse_to(&mut self, end: usize) {
        self.parser.process(&self.bytes[self.parsed..end]);
        self.parsed = end;
    }
}

/// The private modes that an output leaves on, by number.
fn modes_on(output: &str) -> BTreeSet<&str> {
    let mut on = BTreeSet::new();
    for sequence in output.split("\x1b[?").skip(1) {
        let digits = sequence.find(|c: char| !c.is_ascii_digit()).unwrap();
        let (mode, rest) = sequence.split_at(digits);
        match rest.chars().next() {
            Some('h') => on.insert(mode),
            Some('l') => on.remove(mode),
            _ => continue,
        };
    }
    on
}

fn driver_modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize {
        rows,
        cols,
        ..PtySize::default()
    }
}

/// Columns and rows as the parser wants them.
fn cells((columns, rows): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    (columns.try_into().unwrap(), rows.try_into().unwrap())
}

/// What a row of the function list says in a column of numbers, which end where their titles end.
pub(crate) fn cell(frame: &str, function: &str, title: &str) -> Option<String> {
    let head = frame.lines().find(|line| line.contains("   function "))?;
    let row = frame
        .lines()
        .find(|line| line.contains(function) && line.contains('●'))?;
    let end = head[..head.find(&format!(" {title} "))?].chars().count() + 1 + title.len();
    let start = end - 7;
    Some(
        row.chars()
            .take(end)
            .skip(start)
            .collect::<String>()
            .trim()
            .to_owned(),
    )
}
