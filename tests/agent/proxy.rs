//! A way to an agent that can be cut.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes on what comes, until it is cut.
pub(crate) struct Proxy {
    pub(crate) address: String,
    link: Arc<Mutex<Link>>,
}

#[derive(Default)]
struct Link {
    is_cut: bool,
    streams: Vec<TcpStream>,
    /// What tells the connections that there are that nothing gets through any more.
    is_silent: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let link = Arc::<Mutex<Link>>::default();
        let (shared, target) = (Arc::clone(&link), target.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut link = shared.lock().unwrap();
                if link.is_cut {
                    continue;
                }
                let agent = TcpStream::connect(&target).unwrap();
                for (from, to) in [(&client, &agent), (&agent, &client)] {
                    link.streams.push(from.try_clone().unwrap());
                    let is_silent = Arc::clone(&link.is_silent);
                    pump(
                        from.try_clone().unwrap(),
                        to.try_clone().unwrap(),
                        is_silent,
                    );
                }
            }
        });
        Self { address, link }
    }

    /// Ends all connections, and lets no new one be.
    pub(crate) fn cut(&self) {
        let mut link = self.link.lock().unwrap();
        link.is_cut = true;
        for stream in link.streams.drain(..) {
            end(&stream);
        }
    }

    /// Lets nothing through the connections that there are, and ends none of them.
    pub(crate) fn silence(&self) {
        let mut link = self.link.lock().unwrap();
        link.is_silent.store(true, Ordering::Release);
        link.is_silent = Arc::default();
    }

    pub(crate) fn heal(&self) {
        self.link.lock().unwrap().is_cut = false;
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, is_silent: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        // It ends with either of the two.
        while let Ok(len @ 1..) = from.read(&mut bytes) {
            if !is_silent.load(Ordering::Acquire) && to.write_all(&bytes[..len]).is_err() {
                break;
            }
        }
        // Of a silent connection, not even the end gets through.
        if !is_silent.load(Ordering::Acquire) {
            end(&from);
            end(&to);
        }
    });
}

fn end(stream: &TcpStream) {
    match stream.shutdown(Shutdown::Both) {
        Err(error) if error.kind() != ErrorKind::NotConnected => panic!("{error}"),
        _ => {}
    }
}
