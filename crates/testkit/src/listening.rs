//! Servers that are other programs, and say where they listen.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::ChildStderr;
use std::sync::mpsc;

/// Waits until the server has said where it listens, in a line in which `address` finds it. Its
/// output is read to the end: else it would stop when the pipe is full.
pub fn listening(output: ChildStderr, address: impl Fn(&str) -> Option<SocketAddr>) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    let mut said = Vec::new();
    for line in told {
        if let Some(address) = address(&line) {
            return address;
        }
        said.push(line);
    }
    panic!("it ended without listening:\n{}", said.join("\n"));
}
