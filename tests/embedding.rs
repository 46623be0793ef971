//! Balancers inside another program: several in one process, on its runtime, each on its own.
#![allow(clippy::unwrap_used)]

mod support;

use std::{net::SocketAddr, time::Duration};

use pointsman::control::Balancer;
use support::{balancer, echo, exchange, greeting, next_words, soon};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle},
};

async fn answer(address: SocketAddr) -> String {
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    next_words(&mut client).await
}

/// Two balancers, and where they listen.
async fn two() -> ((Balancer, SocketAddr), (Balancer, SocketAddr)) {
    let one = balancer(&[greeting("one").await], "");
    let two = balancer(&[greeting("two").await], "");
    assert_eq!(answer(one.1).await, "one");
    assert_eq!(answer(two.1).await, "two");
    (one, two)
}

async fn one_is_shut_down_and_the_other_goes_on() {
    let ((first, first_address), (_second, second_address)) = two().await;
    let mut open = soon(TcpStream::connect(second_address)).await.unwrap();
    assert_eq!(next_words(&mut open).await, "two");
    soon(first.shut_down(Duration::from_secs(5))).await;
    assert!(TcpStream::connect(first_address).await.is_err());
    assert_eq!(exchange(&mut open, b"still").await.unwrap(), b"still");
    assert_eq!(answer(second_address).await, "two");
}

async fn one_is_dropped_and_the_other_goes_on() {
    let ((first, first_address), (_second, second_address)) = two().await;
    drop(first);
    eventually!(TcpStream::connect(first_address).await.is_err());
    assert_eq!(answer(second_address).await, "two");
}

#[tokio::test]
async fn of_two_on_a_current_thread_runtime_one_is_shut_down_and_the_other_goes_on() {
    one_is_shut_down_and_the_other_goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_on_a_multi_thread_runtime_one_is_shut_down_and_the_other_goes_on() {
    one_is_shut_down_and_the_other_goes_on().await;
}

#[tokio::test]
async fn of_two_on_a_current_thread_runtime_one_is_dropped_and_the_other_goes_on() {
    one_is_dropped_and_the_other_goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_on_a_multi_thread_runtime_one_is_dropped_and_the_other_goes_on() {
    one_is_dropped_and_the_other_goes_on().await;
}

#[tokio::test]
async fn a_session_goes_on_when_its_balancer_is_dropped() {
    let (balancer, address) = balancer(&[echo().await], "");
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    drop(balancer);
    eventually!(TcpStream::connect(address).await.is_err());
    assert_eq!(exchange(&mut client, b"still").await.unwrap(), b"still");
}

#[tokio::test]
async fn the_address_of_a_dropped_balancer_can_be_listened_on_again() {
    let (first, address) = balancer(&[greeting("one").await], "");
    let mut topology = first.topology();
    drop(first);
    topology.services[0].listen = vec![address.into()];
    let start = || Balancer::start(topology.clone(), Handle::current()).ok();
    let mut second = start();
    eventually!({
        second = second.or_else(start);
        second.is_some()
    });
    assert_eq!(answer(address).await, "one");
}

#[test]
fn a_balancer_may_outlive_the_runtime_that_it_is_on() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (balancer, _) = runtime.block_on(async { balancer(&[echo().await], "") });
    drop(runtime);
    assert_eq!(balancer.status().services.len(), 1);
    drop(balancer);
}
