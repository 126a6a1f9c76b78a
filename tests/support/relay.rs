//! A way to a host by a port of this machine, which can be closed with all that goes over it.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Relay {
    port: u16,
    /// Both ends of all that goes over it.
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Listens for the rest of the test, also when it has been closed.
    pub(crate) fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay { port: listener.local_addr().unwrap().port(), streams: Arc::default() };
        let (streams, far) = (Arc::clone(&relay.streams), (address.to_owned(), 22));
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&far) else { continue };
                carry(&near, &far);
                carry(&far, &near);
                streams.lock().unwrap().extend([near, far]);
            }
        });
        relay
    }

    /// The lines of OpenSSH's configuration that lead a host's name here.
    pub(crate) fn ssh_config(&self, name: &str) -> String {
        format!("Host {name}\n    HostName 127.0.0.1\n    Port {}\n    HostKeyAlias {name}\n", self.port)
    }

    pub(crate) fn close(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Carries what comes in from one to the other until its end.
fn carry(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
