//! Balancers inside another program: several in one process, on its runtime, each on its own.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use pointsman::control::Balancer;
use support::{balancer, echo, exchange, greeting, next_words, soon};
use tokio::{
    io::AsyncReadExt,
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
async fn a_balancer_leaves_no_task_behind_once_its_last_session_has_ended() {
    let host = echo().await;
    let before = Handle::current().metrics().num_alive_tasks();
    let (balancer, address) = balancer(&[host], "");
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    assert!(Handle::current().metrics().num_alive_tasks() > before);
    drop(balancer);
    assert_eq!(exchange(&mut client, b"still").await.unwrap(), b"still");
    drop(client);
    eventually!(Handle::current().metrics().num_alive_tasks() == before);
}

#[tokio::test]
async fn an_idle_session_is_ended_in_time_on_a_runtime_that_has_nothing_else_to_do() {
    let (_balancer, address) = balancer(&[echo().await], "timeouts = { idle = \"300ms\" }");
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    let idle = Instant::now();
    let end = soon(client.read(&mut [0; 8])).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let idle = idle.elapsed();
    assert!(
        idle >= Duration::from_millis(290) && idle < Duration::from_secs(2),
        "{idle:?}"
    );
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
