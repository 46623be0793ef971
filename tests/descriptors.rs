//! What happens when a balancer runs out of file descriptors: it waits, and recovers.
#![allow(clippy::unwrap_used)]

mod support;

use support::{child, child::Process, echo, exchange};
use tokio::net::TcpStream;

#[test]
#[ignore = "what the other test starts"]
fn a_process_of_its_own() {
    child::run();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_without_descriptors_does_not_spin_and_serves_again_when_it_has_some() {
    let mut balancer = Process::start(&[echo().await], 64);
    let mut clients = Vec::new();
    for _ in 0..120 {
        clients.push(TcpStream::connect(balancer.address).await.unwrap());
    }
    // Two for each session: not even half of them fit. What fits is served meanwhile.
    eventually!(balancer.counts().active > 10);
    let before = balancer.ticks();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let used = balancer.ticks() - before;
    assert!(
        used < 30,
        "{used} hundredths of a second of work while waiting"
    );
    assert!(balancer.counts().total < 60);
    drop(clients);
    eventually!(balancer.counts().active == 0);
    for _ in 0..50 {
        let mut client = TcpStream::connect(balancer.address).await.unwrap();
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    }
}
