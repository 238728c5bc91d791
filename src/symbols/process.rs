//! One running process: what it is, what it has mapped, and whether it is still the same.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{EMBEDDED_AGENT, Target};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::ProcessError;
use super::image::Image;
use super::procfs::{self, Mapping, Stat, Status};

/// A process under observation, held by a pidfd: its id cannot come to mean another process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
    start_ticks: u64,
    executable: Arc<Image>,
    /// Its memory, and an address that is mapped in it.
    memory: File,
    mapped_address: u64,
}

/// What may keep a process from being probed, or from being hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessState {
    /// Whether it is stopped, by a signal or by a debugger.
    pub stopped: bool,
    /// The process that traces it, if one does.
    pub tracer: Option<u32>,
    /// Whether a seccomp filter judges its system calls.
    pub seccomp_filter: bool,
}

/// A library that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// The path as the process sees it.
    pub path: String,
    mapping: Mapping,
}

impl Process {
    /// Opens a running process and its executable.
    ///
    /// # Errors
    /// If there is no such process, if it may not be observed, or if it is one that cannot be
    /// probed: a thread, a zombie, this program itself, or one for another processor.
    pub fn open(pid: u32) -> Result<Self, ProcessError> {
        let stat = admit(pid)?;
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let id = id.ok_or(ProcessError::NoSuchProcess { pid })?;
        let pidfd = pidfd_open(id, PidfdFlags::empty())
            .map_err(|errno| ProcessError::from_io(pid, "pidfd", errno.into()))?;
        let executable = Arc::new(open_executable(pid)?);
        let memory = File::open(procfs::path(pid, "mem"))
            .map_err(|error| ProcessError::from_io(pid, "memory", error))?;
        let mappings =
            procfs::mappings(pid).map_err(|error| ProcessError::from_io(pid, "mappings", error))?;
        let process = Self {
            pid,
            pidfd,
            start_ticks: stat.start_ticks,
            executable,
            memory,
            mapped_address: mappings.first().map_or(0, |mapping| mapping.start),
        };
        // The id may have changed hands before the pidfd was open.
        let is_same = Stat::read(pid).is_ok_and(|now| now.start_ticks == stat.start_ticks);
        if !is_same || process.has_exited() {
            return Err(ProcessError::NoSuchProcess { pid });
        }
        Ok(process)
    }

    /// The process id in this node's namespace.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The executable, opened once: it stays the same when its file is replaced.
    pub fn executable(&self) -> &Arc<Image> {
        &self.executable
    }

    /// What identifies the process; the service is named after its executable.
    pub fn target(&self) -> Target {
        let exe = self.executable.path();
        let name = exe.rsplit('/').next().unwrap_or(exe);
        Target {
            agent_id: EMBEDDED_AGENT.into(),
            // A program that was run from memory is shown by the kernel with this before its name.
            service: name.strip_prefix("memfd:").unwrap_or(name).to_owned(),
            pid: self.pid,
            exe: exe.to_owned(),
            build_id: self.executable.build_id().map(str::to_owned),
            language: self.executable.language(),
            start_ticks: self.start_ticks,
        }
    }

    /// Whether the process has ended.
    pub fn has_exited(&self) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A pidfd becomes readable when its process ends.
        poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    /// Whether the process runs another program than when it was opened, be it the same file again.
    pub fn has_execed(&self) -> bool {
        // The file holds on to the memory that was there when it was opened; once that is gone,
        // there is nothing to read.
        let is_gone = matches!(self.memory.read_at(&mut [0], self.mapped_address), Ok(0));
        // A process that is about to end has no memory either, but no executable any more.
        is_gone && std::fs::metadata(procfs::path(self.pid, "exe")).is_ok()
    }

    /// What may keep it from being probed, or from being hit.
    ///
    /// # Errors
    /// If it went away.
    pub fn state(&self) -> Result<ProcessState, ProcessError> {
        let gone = |_| ProcessError::Gone { pid: self.pid };
        let stat = Stat::read(self.pid).map_err(gone)?;
        let status = Status::read(self.pid).map_err(gone)?;
        if self.has_exited() {
            return Err(ProcessError::Gone { pid: self.pid });
        }
        Ok(ProcessState {
            stopped: matches!(stat.state, 'T' | 't'),
            tracer: (status.tracer != 0).then_some(status.tracer),
            seccomp_filter: status.seccomp == 2,
        })
    }

    /// The processor time that all its threads have taken; whole clock ticks. `None` if it has
    /// ended.
    pub fn cpu_time(&self) -> Option<Duration> {
        let ticks = Stat::read(self.pid).ok()?.cpu_ticks;
        Some(Duration::from_secs(ticks) / rustix::param::clock_ticks_per_second() as u32)
    }

    /// The libraries that are mapped now, in the order of their addresses.
    ///
    /// # Errors
    /// If the mappings may not be read.
    pub fn libraries(&self) -> Result<Vec<Library>, ProcessError> {
        let mut libraries: Vec<Library> = Vec::new();
        for mapping in self.mappings()? {
            let is_known = libraries.iter().any(|library| {
                let known = &library.mapping;
                (known.device, known.inode) == (mapping.device, mapping.inode)
            });
            if mapping.executable && !is_known && !maps(&mapping, &self.executable) {
                libraries.push(Library {
                    path: mapping.path.clone(),
                    mapping,
                });
            }
        }
        Ok(libraries)
    }

    /// Opens a mapped library, even if its file was replaced or is in another container.
    ///
    /// # Errors
    /// If it may not be read, or cannot be used.
    pub fn open_library(&self, library: &Library) -> Result<Image, ProcessError> {
        self.open_mapping(&library.mapping)
    }

    /// Opens the file of a mapping.
    pub(super) fn open_mapping(&self, mapping: &Mapping) -> Result<Image, ProcessError> {
        let mapped = procfs::path(self.pid, &format!("map_files/{}", mapping.name));
        let named = procfs::path(self.pid, "root").join(mapping.path.trim_start_matches('/'));
        let file = File::open(mapped)
            // Without the right to use `map_files`, the path may serve: if it is still that file.
            .or_else(|_| open_regular(&named))
            .map_err(|error| ProcessError::from_io(self.pid, "libraries", error))?;
        let image = Image::open(file, mapping.path.as_str())?;
        if image.identity().inode != mapping.inode {
            return Err(ProcessError::Gone { pid: self.pid });
        }
        Ok(image)
    }

    /// What to add to a virtual address in an image's file to get the one in the process; `None`
    /// if the image is not mapped.
    ///
    /// # Errors
    /// If the mappings may not be read.
    pub fn load_bias(&self, image: &Image) -> Result<Option<u64>, ProcessError> {
        let bias = |mapping: Mapping| {
            if !mapping.executable || !maps(&mapping, image) {
                return None;
            }
            let address = image.mapped_address(mapping.offset, mapping.end - mapping.start)?;
            Some(mapping.start.wrapping_sub(address))
        };
        Ok(self.mappings()?.into_iter().find_map(bias))
    }

    /// Whether one of its threads has this id.
    pub fn has_thread(&self, tid: u32) -> bool {
        procfs::path(self.pid, &format!("task/{tid}")).exists()
    }

    /// Reads its memory; `None` unless all of it is there.
    pub(super) fn read_memory(&self, address: u64, bytes: &mut [u8]) -> Option<()> {
        self.memory.read_exact_at(bytes, address).ok()
    }

    fn mappings(&self) -> Result<Vec<Mapping>, ProcessError> {
        procfs::mappings(self.pid)
            .map_err(|error| ProcessError::from_io(self.pid, "mappings", error))
    }
}

/// The pidfd: readable once the process has ended.
impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Refuses what is no process that could be probed, before anything of it is opened.
pub(super) fn admit(pid: u32) -> Result<Stat, ProcessError> {
    let fail = |error| ProcessError::from_io(pid, "status", error);
    let stat = Stat::read(pid).map_err(fail)?;
    if stat.is_kernel_thread {
        return Err(ProcessError::KernelThread { pid });
    }
    let process = Status::read(pid).map_err(fail)?.process;
    if process == std::process::id() {
        return Err(ProcessError::OwnProcess { pid });
    }
    if process != pid {
        return Err(ProcessError::NotAProcess { pid, process });
    }
    if matches!(stat.state, 'Z' | 'X') {
        return Err(ProcessError::Zombie { pid });
    }
    Ok(stat)
}

/// Opens the executable that a process runs.
pub(super) fn open_executable(pid: u32) -> Result<Image, ProcessError> {
    let fail = |error| ProcessError::from_io(pid, "executable", error);
    let link = procfs::path(pid, "exe");
    let shown_path = std::fs::read_link(&link).map_err(fail)?;
    let file = File::open(&link).map_err(fail)?;
    let shown_path = procfs::shown_path(&shown_path.to_string_lossy());
    Ok(Image::open(file, shown_path)?)
}

/// The path of a process's executable, as the process sees it.
pub fn executable_path(pid: u32) -> Option<String> {
    let path = std::fs::read_link(procfs::path(pid, "exe")).ok()?;
    Some(procfs::shown_path(&path.to_string_lossy()))
}

/// Whether a mapping is one of an image's file.
pub(super) fn maps(mapping: &Mapping, image: &Image) -> bool {
    let identity = image.identity();
    let (major, minor) = mapping.device;
    // Some file systems give `stat` another device than they give the mappings.
    let is_same_device =
        rustix::fs::makedev(major, minor) == identity.device || mapping.path == image.path();
    mapping.inode == identity.inode && is_same_device
}

/// Opens a file by its path without waiting, should it be a FIFO.
fn open_regular(path: &std::path::Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}
