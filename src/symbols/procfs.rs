//! What the kernel says about a process in `/proc`.

use std::io;
use std::path::PathBuf;

/// The kernel's mark of its own threads (`PF_KTHREAD`).
const FLAG_KERNEL_THREAD: u64 = 0x0020_0000;

/// The path of a process's file in `/proc`.
pub(super) fn path(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// Reads a file of `/proc`; names of others in it need not be valid UTF-8.
pub(super) fn read(pid: u32, name: &str) -> io::Result<String> {
    let bytes = std::fs::read(path(pid, name))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// From `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: char,
    pub(super) is_kernel_thread: bool,
    /// When it started, in clock ticks since boot.
    pub(super) start_ticks: u64,
    /// The processor time of all its threads, in clock ticks.
    pub(super) cpu_ticks: u64,
}

impl Stat {
    pub(super) fn read(pid: u32) -> io::Result<Self> {
        Self::parse(&read(pid, "stat")?).ok_or(io::ErrorKind::InvalidData.into())
    }

    fn parse(text: &str) -> Option<Self> {
        // The name before stands in parentheses and may hold some itself.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let flags = number(6)?;
        Some(Self {
            state: fields.first()?.chars().next()?,
            is_kernel_thread: flags & FLAG_KERNEL_THREAD != 0,
            start_ticks: number(19)?,
            cpu_ticks: number(11)? + number(12)?,
        })
    }
}

/// From `/proc/<pid>/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) name: String,
    /// The process that the id's thread belongs to.
    pub(super) process: u32,
    pub(super) tracer: u32,
    pub(super) user_id: u32,
    /// 0 none, 1 strict, 2 a filter.
    pub(super) seccomp: u32,
    pub(super) resident_bytes: u64,
}

impl Status {
    pub(super) fn read(pid: u32) -> io::Result<Self> {
        Ok(Self::parse(&read(pid, "status")?))
    }

    fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let first = value.split_whitespace().next().unwrap_or_default();
            let number = || first.parse().unwrap_or(0);
            match key {
                "Name" => status.name = value.trim().to_owned(),
                "Tgid" => status.process = number(),
                "TracerPid" => status.tracer = number(),
                "Uid" => status.user_id = number(),
                "Seccomp" => status.seccomp = number(),
                "VmRSS" => status.resident_bytes = first.parse().unwrap_or(0) * 1024,
                _ => {}
            }
        }
        status
    }
}

/// A part of a process's memory, from `/proc/<pid>/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Its addresses as the kernel writes them, which is its name in `map_files`.
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) executable: bool,
    /// Where in the file it begins.
    pub(super) offset: u64,
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
    pub(super) path: String,
}

/// The mappings of files.
pub(super) fn mappings(pid: u32) -> io::Result<Vec<Mapping>> {
    let mut mappings = all_mappings(pid)?;
    mappings.retain(|mapping| mapping.inode != 0);
    Ok(mappings)
}

/// All mappings; those of no file have no inode, and a path only where the kernel names them.
pub(super) fn all_mappings(pid: u32) -> io::Result<Vec<Mapping>> {
    let text = read(pid, "maps")?;
    Ok(text.lines().filter_map(parse_mapping).collect())
}

fn parse_mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let mut next = || fields.next();
    let (name, permissions, offset, device, inode) = (next()?, next()?, next()?, next()?, next()?);
    let (start, end) = name.split_once('-')?;
    let (major, minor) = device.split_once(':')?;
    let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
    let path = next().unwrap_or_default().trim_start();
    Some(Mapping {
        name: name.to_owned(),
        start: hexadecimal(start)?,
        end: hexadecimal(end)?,
        executable: permissions.as_bytes().get(2) == Some(&b'x'),
        offset: hexadecimal(offset)?,
        device: (
            u32::from_str_radix(major, 16).ok()?,
            u32::from_str_radix(minor, 16).ok()?,
        ),
        inode: inode.parse().ok()?,
        path: shown_path(path),
    })
}

/// A path without the mark of a file that is gone.
pub(super) fn shown_path(path: &str) -> String {
    path.strip_suffix(" (deleted)").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields_behind_it() {
        let text = "42 (a) Z 1 (b)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        let expected = Stat {
            state: 'S',
            is_kernel_thread: false,
            start_ticks: 987_654,
            cpu_ticks: 11,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("42 (a) S 1 2"), None);
    }

    #[test]
    fn kernel_threads_are_marked() {
        let text = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 12 0 0";
        assert!(Stat::parse(text).is_some_and(|stat| stat.is_kernel_thread));
    }

    #[test]
    fn a_status_is_read_by_its_keys() {
        let text = "Name:\tshop\nTgid:\t7\nTracerPid:\t9\nUid:\t1000\t1001\nVmRSS:\t   12 kB\n\
                    Seccomp:\t2\nSeccomp_filters:\t1\n";
        let expected = Status {
            name: "shop".into(),
            process: 7,
            tracer: 9,
            user_id: 1000,
            seccomp: 2,
            resident_bytes: 12_288,
        };
        assert_eq!(Status::parse(text), expected);
    }

    #[test]
    fn mappings_are_read() {
        let line =
            "55d0-55d9 r-xp 00002000 fd:01 1234                       /opt/my shop (deleted)";
        let mapping = parse_mapping(line).unwrap();
        assert_eq!((mapping.start, mapping.end), (0x55d0, 0x55d9));
        assert_eq!((mapping.offset, mapping.inode), (0x2000, 1234));
        assert_eq!(mapping.device, (0xfd, 1));
        assert_eq!(mapping.path, "/opt/my shop");
        assert!(mapping.executable);
        let others = [("   [vdso]", "[vdso]"), (" ", ""), ("", "")];
        for (end, path) in others {
            let mapping = parse_mapping(&format!("7ff0-7ff9 r-xp 00000000 00:00 0{end}")).unwrap();
            assert_eq!((mapping.inode, mapping.path.as_str()), (0, path));
        }
    }
}
