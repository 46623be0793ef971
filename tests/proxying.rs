//! What happens to the bytes of a session.
#![allow(clippy::unwrap_used)]

mod support;

use support::{balancer, echo, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_echoed_through_half_close_comes_back_whole() {
    let (_balancer, address) = balancer(&[echo().await], "");
    let mut sent = vec![0; 32 << 20];
    for (index, byte) in sent.iter_mut().enumerate() {
        *byte = (index * 31 % 251) as u8;
    }
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    soon(read.read_to_end(&mut received)).await.unwrap();
    soon(writing).await.unwrap();
    assert!(
        received == expected,
        "{} bytes came back, not the same",
        received.len()
    );
}
