//! What happens when a balancer runs out of file descriptors: it waits, and recovers.
#![allow(clippy::unwrap_used)]

mod support;

use support::{child, child::Process, echo, exchange, pattern, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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
        // Who is accepted and cannot be served is reset, some before they know of the accept.
        clients.extend(TcpStream::connect(balancer.address).await);
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

/// Sends `message` to a host that echoes, and reads it back meanwhile.
async fn bulk(client: TcpStream, message: Vec<u8>) -> TcpStream {
    let (mut read, mut write) = client.into_split();
    let expected = message.clone();
    let sending = tokio::spawn(async move {
        write.write_all(&message).await.unwrap();
        write
    });
    let mut answer = vec![0; expected.len()];
    soon(read.read_exact(&mut answer)).await.unwrap();
    assert!(answer == expected);
    read.reunite(soon(sending).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_for_pipes_bulk_is_carried_all_the_same() {
    let mut balancer = Process::start(&[echo().await], 64);
    let (mut clients, pipes) = (Vec::new(), balancer.pipe_ends());
    while balancer.counts().out_of_resources == 0 {
        // Who comes when there are none left is reset, perhaps before it knows of the accept.
        let Ok(mut client) = TcpStream::connect(balancer.address).await else {
            break;
        };
        let answer = exchange(&mut client, b"hello");
        match tokio::time::timeout(std::time::Duration::from_millis(500), answer).await {
            Ok(Ok(_)) => clients.push(client),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    assert!(clients.len() > 10, "{}", clients.len());
    let mut client = clients.pop().unwrap();
    for _ in 0..3 {
        client = bulk(client, pattern(8 << 20, 1)).await;
        assert_eq!(balancer.pipe_ends(), pipes);
    }
    drop(clients);
    eventually!(balancer.counts().active == 1);
    bulk(client, pattern(8 << 20, 2)).await;
    assert!(balancer.pipe_ends() > pipes);
}
