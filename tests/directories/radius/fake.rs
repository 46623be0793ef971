//! Servers that do what a test tells them, over UDP on loopback.

use std::{net::SocketAddr, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use radius::core::{avp::AVP, code::Code, packet::Packet, rfc2869};
use tokio::net::UdpSocket;

use super::SECRET;

/// Calls `work` with each datagram, its number from 0 on, the socket and the sender.
pub(super) async fn serve<W, F>(work: W) -> SocketAddr
where
    W: Fn(Vec<u8>, usize, Arc<UdpSocket>, SocketAddr) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        for number in 0.. {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                return;
            };
            work(buffer[..length].to_vec(), number, Arc::clone(&socket), from).await;
        }
    });
    address
}

/// Answers each request with all of what `say` makes of it and its number.
pub(super) async fn saying(
    say: impl Fn(&[u8], usize) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    let say = Arc::new(say);
    serve(move |request, number, socket, from| {
        let say = Arc::clone(&say);
        async move {
            for datagram in say(&request, number) {
                let _ = socket.send_to(&datagram, from).await;
            }
        }
    })
    .await
}

/// What a server with this secret answers to `request`, with a Message-Authenticator.
pub(super) fn signed(request: &[u8], code: Code, attributes: &[AVP], secret: &str) -> Vec<u8> {
    let asked = Packet::decode(request, secret.as_bytes()).unwrap();
    let mut packet = asked.make_response_packet(code);
    rfc2869::add_message_authenticator(&mut packet, &[0; 16]);
    packet.extend(attributes.to_vec());
    let mut covered = packet.encode().unwrap();
    covered[4..20].copy_from_slice(&request[4..20]);
    let mut mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&covered);
    let proof = mac.finalize().into_bytes();
    let mut packet = asked.make_response_packet(code);
    rfc2869::add_message_authenticator(&mut packet, &proof);
    packet.extend(attributes.to_vec());
    packet.encode().unwrap()
}

/// An Access-Accept of a server that knows the secret, with this Filter-Id.
pub(super) fn accept(request: &[u8], role: &str) -> Vec<u8> {
    let role = AVP::from_string(11, role);
    signed(request, Code::AccessAccept, &[role], SECRET)
}
