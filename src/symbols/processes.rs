//! The processes of this node, as the picker lists them.

use std::collections::HashMap;
use std::path::PathBuf;

use coral_model::{Language, ProcessSummary};

use super::image::FileIdentity;
use super::process::{admit, open_executable};
use super::procfs::{self, Stat, Status};
use super::sockets;
use super::{ProcessError, SymbolError};

/// A command line is shown up to this length.
const COMMAND_BYTES_MAX: usize = 4096;
const CONTAINER_ID_LEN: usize = 64;
const SHORT_CONTAINER_ID_LEN: usize = 12;

/// All processes but the kernel's own threads, by their ids.
pub fn list_processes() -> Vec<ProcessSummary> {
    let mut pids: Vec<u32> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let mut list = Lister::new();
    pids.into_iter()
        .filter_map(|pid| list.summary(pid))
        .collect()
}

/// The TCP ports that a process listens on.
pub fn listening_ports(pid: u32) -> Vec<u16> {
    Lister::new().ports(pid)
}

/// What is the same for many processes and looked up once.
struct Lister {
    users: HashMap<u32, String>,
    executables: HashMap<FileIdentity, Result<Language, String>>,
    /// The listening sockets of each network namespace: their ports by their inodes.
    listening: HashMap<PathBuf, HashMap<u64, u16>>,
}

impl Lister {
    fn new() -> Self {
        let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
        Self {
            users: parse_users(&String::from_utf8_lossy(&passwd)),
            executables: HashMap::new(),
            listening: HashMap::new(),
        }
    }

    /// A process's line; `None` for the kernel's threads and for what is gone by now.
    fn summary(&mut self, pid: u32) -> Option<ProcessSummary> {
        let (language, refusal) = match admit(pid) {
            Ok(_) => match self.language(pid) {
                Ok(language) => (Some(language), None),
                Err(refusal) => (None, Some(refusal)),
            },
            Err(ProcessError::KernelThread { .. } | ProcessError::NoSuchProcess { .. }) => {
                return None;
            }
            Err(error) => (None, Some(error.to_string())),
        };
        let status = Status::read(pid).ok()?;
        let user = self.users.get(&status.user_id);
        Some(ProcessSummary {
            pid,
            user: user.map_or_else(|| status.user_id.to_string(), String::clone),
            command: command(pid).unwrap_or_else(|| status.name.clone()),
            name: status.name,
            language: language.filter(|&language| language != Language::Unknown),
            ports: self.ports(pid),
            container: procfs::read(pid, "cgroup")
                .ok()
                .and_then(|text| container(&text)),
            resident_bytes: status.resident_bytes,
            start_ticks: Stat::read(pid).ok()?.start_ticks,
            refusal,
        })
    }

    /// The executable's language, or why it cannot be probed.
    fn language(&mut self, pid: u32) -> Result<Language, String> {
        let look = || open_executable(pid).map(|image| image.language());
        let Ok(metadata) = std::fs::metadata(procfs::path(pid, "exe")) else {
            return look().map_err(|error| error.to_string());
        };
        let identity = FileIdentity::from(&metadata);
        if let Some(known) = self.executables.get(&identity) {
            return known.clone();
        }
        let result = look();
        // Another process may be allowed to look at the same file.
        let is_about_file = matches!(
            result,
            Ok(_)
                | Err(ProcessError::Image(
                    SymbolError::NotElf { .. }
                        | SymbolError::Corrupt { .. }
                        | SymbolError::Not64Bit { .. }
                        | SymbolError::ForeignArchitecture { .. }
                ))
        );
        let result = result.map_err(|error| error.to_string());
        if is_about_file {
            self.executables.insert(identity, result.clone());
        }
        result
    }

    fn ports(&mut self, pid: u32) -> Vec<u16> {
        let Ok(namespace) = std::fs::read_link(procfs::path(pid, "ns/net")) else {
            return Vec::new();
        };
        let listening = self.listening.entry(namespace).or_insert_with(|| {
            let sockets = sockets::tcp_sockets(pid);
            let listening = sockets.filter(|socket| socket.is_listening);
            listening
                .map(|socket| (socket.inode, socket.local_port))
                .collect()
        });
        if listening.is_empty() {
            return Vec::new();
        }
        let inodes = sockets::inodes_of(pid);
        let mut ports: Vec<u16> = inodes
            .filter_map(|inode| listening.get(&inode).copied())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

fn command(pid: u32) -> Option<String> {
    let mut bytes = std::fs::read(procfs::path(pid, "cmdline")).ok()?;
    bytes.truncate(COMMAND_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes);
    let command = text.trim_end_matches('\0').replace('\0', " ");
    (!command.is_empty()).then_some(command)
}

/// User names by their numbers, from `/etc/passwd`.
fn parse_users(passwd: &str) -> HashMap<u32, String> {
    let parse = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
    };
    passwd.lines().filter_map(parse).collect()
}

/// The short form of the container id that container runtimes put into the names of cgroups.
fn container(cgroup: &str) -> Option<String> {
    cgroup
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|part| part.len() == CONTAINER_ID_LEN)
        .map(|id| id[..SHORT_CONTAINER_ID_LEN].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_by_their_numbers() {
        let users = parse_users("root:x:0:0:root:/root:/bin/sh\nbroken\nshop:x:1000:1000::/:\n");
        let expected = [(0, "root".to_owned()), (1000, "shop".to_owned())];
        assert_eq!(users, HashMap::from(expected));
    }

    #[test]
    fn containers_are_told_by_their_cgroup() {
        let id = "0123456789ab".repeat(6)[..64].to_owned();
        let cases = [
            (
                format!("0::/system.slice/docker-{id}.scope\n"),
                Some("0123456789ab"),
            ),
            (format!("0::/kubepods/pod1/{id}\n"), Some("0123456789ab")),
            ("0::/user.slice/session-1.scope\n".to_owned(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(container(&text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn this_process_is_listed_and_refused() {
        let own = std::process::id();
        let listed = list_processes();
        let summary = listed.iter().find(|process| process.pid == own).unwrap();
        let refusal = ProcessError::OwnProcess { pid: own }.to_string();
        assert_eq!(summary.refusal, Some(refusal));
        assert!(summary.resident_bytes > 0);
    }
}
