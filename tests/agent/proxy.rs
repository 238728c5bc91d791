//! A way to an agent that can be cut.

use std::io::{ErrorKind, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
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
                    pump(from.try_clone().unwrap(), to.try_clone().unwrap());
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

    pub(crate) fn heal(&self) {
        self.link.lock().unwrap().is_cut = false;
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // It ends with either of the two.
        let _ = copy(&mut from, &mut to);
        end(&from);
        end(&to);
    });
}

fn end(stream: &TcpStream) {
    match stream.shutdown(Shutdown::Both) {
        Err(error) if error.kind() != ErrorKind::NotConnected => panic!("{error}"),
        _ => {}
    }
}
