//! The program where it may open few files: it says so, goes on, and recovers.

use std::process::Command;

use rustix::process::Signal;
use tokio::net::TcpStream;

use super::{
    eventually,
    process::{File, Program, pointsman},
    support::{self, echo, exchange, soon},
};

/// The program, with no more than `most` descriptors.
fn limited(most: u32, file: &File) -> Program {
    let plain = pointsman(&["run", file.path()]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]);
    command
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_remove("RUST_LOG");
    Program::start(command)
}

#[tokio::test]
async fn without_descriptors_it_goes_on_and_serves_again_when_it_has_some() {
    let more = "limits = { sessions = 1000 }";
    let service = support::service("web", &["127.0.0.1:0"], &[echo().await], more);
    let file = File::with(&format!("[node]\nthreads = 1\n{service}"));
    let mut program = limited(64, &file);
    let address = program.address().await;
    assert!(
        program
            .complained()
            .contains("more than the file descriptors allow")
    );
    let mut clients = Vec::new();
    for _ in 0..120 {
        clients.push(soon(TcpStream::connect(address)).await.unwrap());
    }
    program.hears("cannot accept").await;
    drop(clients);
    eventually!(match TcpStream::connect(address).await {
        Ok(mut client) => exchange(&mut client, b"hello").await.is_ok(),
        Err(_) => false,
    });
    for _ in 0..50 {
        let mut client = soon(TcpStream::connect(address)).await.unwrap();
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    }
    program.signal(Signal::TERM);
    assert_eq!(program.end().await, 0);
}

#[tokio::test]
async fn with_too_few_descriptors_to_start_it_says_so() {
    let service = support::service("web", &["127.0.0.1:0"], &[], "");
    let file = File::with(&format!("[node]\nthreads = 24\n{service}"));
    for most in 4..48 {
        let mut program = limited(most, &file);
        assert_eq!(program.end().await, 1, "{most} descriptors");
        let complaint = program.complained();
        let expected = ["too few", "Too many open files", "too many open files"];
        let told = expected.iter().any(|words| complaint.contains(words));
        assert!(told, "{most} descriptors: {complaint}");
    }
}
