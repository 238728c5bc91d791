//! The processes of this node, as the picker lists them.

use std::collections::HashMap;
use std::path::PathBuf;

use coral_model::{Language, ProcessSummary};

use super::image::FileIdentity;
use super::process::{admit, open_executable};
use super::procfs::{self, Status};
use super::{ProcessError, SymbolError};

/// So many open files of a process are looked at for listening sockets.
const FDS_MAX: usize = 4096;
/// A command line is shown up to this length.
const COMMAND_BYTES_MAX: usize = 4096;
const CONTAINER_ID_LEN: usize = 64;
const SHORT_CONTAINER_ID_LEN: usize = 12;
/// A listening socket's state in `/proc/net/tcp`.
const STATE_LISTEN: &str = "0A";

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
            let tables = ["net/tcp", "net/tcp6"];
            let texts = tables
                .iter()
                .filter_map(|table| procfs::read(pid, table).ok());
            texts.flat_map(|text| parse_listening(&text)).collect()
        });
        if listening.is_empty() {
            return Vec::new();
        }
        let mut ports: Vec<u16> = std::fs::read_dir(procfs::path(pid, "fd"))
            .into_iter()
            .flatten()
            .take(FDS_MAX)
            .filter_map(|entry| {
                let link = std::fs::read_link(entry.ok()?.path()).ok()?;
                let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
                listening.get(&inode.parse().ok()?).copied()
            })
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

/// Ports by the inodes of their sockets, from `/proc/net/tcp` or `tcp6`.
fn parse_listening(table: &str) -> Vec<(u64, u16)> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = fields.get(1)?.rsplit_once(':')?;
        if *fields.get(3)? != STATE_LISTEN {
            return None;
        }
        Some((
            fields.get(9)?.parse().ok()?,
            u16::from_str_radix(port, 16).ok()?,
        ))
    };
    table.lines().skip(1).filter_map(parse).collect()
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
    fn only_listening_sockets_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 777 1\n\
            1: 0100007F:2329 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 778 1\n";
        assert_eq!(parse_listening(table), [(777, 9000)]);
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
