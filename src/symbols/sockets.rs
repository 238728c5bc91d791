//! Whose TCP sockets are whose, as far as `/proc` tells.

use super::procfs;

/// So many open files of a process are looked at for sockets.
const FDS_MAX: usize = 4096;
/// A listening socket's state in `/proc/net/tcp`.
const STATE_LISTEN: &str = "0A";

/// A TCP socket of a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local_port: u16,
    pub(super) remote_port: u16,
    pub(super) is_listening: bool,
    pub(super) inode: u64,
}

/// Whether a process of this network namespace holds the end of a connection, over the loopback
/// interface, that has these two ports.
pub fn holds_connection(pid: u32, local_port: u16, remote_port: u16) -> bool {
    let is_it = |socket: &Socket| {
        (socket.local_port, socket.remote_port) == (local_port, remote_port) && !socket.is_listening
    };
    // Read as this process sees it: the peer's network is this one's.
    let inode = tcp_sockets(std::process::id())
        .find(is_it)
        .map(|socket| socket.inode);
    inode.is_some_and(|inode| inode != 0 && inodes_of(pid).any(|held| held == inode))
}

/// The TCP sockets of a process's network namespace.
pub(super) fn tcp_sockets(pid: u32) -> impl Iterator<Item = Socket> {
    let tables = ["net/tcp", "net/tcp6"].into_iter();
    let texts = tables.filter_map(move |table| procfs::read(pid, table).ok());
    texts.flat_map(|text| parse(&text))
}

/// The inodes of the sockets that a process has open.
pub(super) fn inodes_of(pid: u32) -> impl Iterator<Item = u64> {
    let files = std::fs::read_dir(procfs::path(pid, "fd")).into_iter();
    files.flatten().take(FDS_MAX).filter_map(|entry| {
        let link = std::fs::read_link(entry.ok()?.path()).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inode.parse().ok()
    })
}

/// Reads `/proc/net/tcp` or `tcp6`.
fn parse(table: &str) -> Vec<Socket> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some(Socket {
            local_port: port(fields.get(1)?)?,
            remote_port: port(fields.get(2)?)?,
            is_listening: *fields.get(3)? == STATE_LISTEN,
            inode: fields.get(9)?.parse().ok()?,
        })
    };
    table.lines().skip(1).filter_map(parse).collect()
}

fn port(address: &str) -> Option<u16> {
    let (_, port) = address.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 777 1\n\
            1: 0100007F:2329 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 778 1\n\
            broken\n";
        let expected = [(9000, 0, true, 777), (9001, 8080, false, 778)];
        let read = parse(table).into_iter();
        let read = read.map(|it| (it.local_port, it.remote_port, it.is_listening, it.inode));
        assert!(read.eq(expected));
    }

    #[test]
    fn a_connection_is_held_by_who_made_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let stream = TcpStream::connect(here).unwrap();
        let (here, there) = (here.port(), stream.local_addr().unwrap().port());
        assert!(holds_connection(std::process::id(), there, here));
        assert!(!holds_connection(1, there, here));
    }
}
