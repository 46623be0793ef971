//! RADIUS over TLS, by a real server and through connections that break.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use pointsman::auth::{radius::TlsFiles, tls::Identity};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{fake::signed, *};

fn over_tls(server: &FreeRadius, mut servers: Vec<Server>) -> Options {
    for server in &mut servers {
        server.host = "localhost".to_owned();
    }
    Options {
        secret: None,
        timeout: Duration::from_secs(2),
        retries: 1,
        tls: Some(TlsFiles {
            ca_file: server.certificate("ca.pem"),
            identity: None,
        }),
        ..options(servers)
    }
}

#[tokio::test]
async fn a_server_is_asked_over_tls_and_must_be_who_it_is_called() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let listener = server.listener("tls");
    let plain = over_tls(&server, vec![listener.clone()]);
    let tls = radius(plain.clone());
    assert_eq!(accepted(log_in(&tls, "ada", "analytical").await).len(), 2);
    rejected(log_in(&tls, "ada", "wrong").await);
    match log_in(&tls, "otp", "first-half").await {
        Outcome::Challenge(challenge) => {
            let code = challenge.message.strip_prefix("Enter OTP ").unwrap();
            accepted(answer(&tls, "otp", &challenge.state, code).await);
        }
        other => panic!("{}", other.sentence()),
    }
    tls.answers().await.unwrap();

    // Its certificate is for names, not for the address.
    let mut by_address = plain.clone();
    by_address.servers = vec![listener];
    let by_address = radius(by_address);
    let because = unavailable(log_in(&by_address, "ada", "analytical").await);
    assert!(because.contains("certificate"), "{because}");
    by_address.answers().await.unwrap_err();

    let mut other_authority = plain.clone();
    let files = other_authority.tls.as_mut().unwrap();
    files.ca_file = server.certificate("client.pem");
    let because = unavailable(log_in(&radius(other_authority), "ada", "analytical").await);
    assert!(because.contains("certificate"), "{because}");

    let mut missing = plain;
    let files = missing.tls.as_mut().unwrap();
    files.ca_file = server.certificate("nothing.pem");
    let problems = Radius::new(missing, Clock::system()).unwrap_err();
    assert!(problems[0].contains("nothing.pem"), "{problems:?}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let mut mutual = over_tls(&server, vec![server.listener("mutual")]);
    unavailable(log_in(&radius(mutual.clone()), "ada", "analytical").await);
    let files = mutual.tls.as_mut().unwrap();
    files.identity = Some(Identity {
        cert_file: server.certificate("client.pem"),
        key_file: server.certificate("client.key"),
    });
    accepted(log_in(&radius(mutual), "ada", "analytical").await);
}

/// Passes each byte on by itself, both ways.
async fn trickling(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to).await.unwrap();
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            tokio::spawn(one_by_one(client_read, server_write));
            tokio::spawn(one_by_one(server_read, client_write));
        }
    });
    address
}

async fn one_by_one(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
) {
    while let Ok(byte) = from.read_u8().await {
        if to.write_u8(byte).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_an_answer() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let listener = server.listener("tls");
    let address: SocketAddr = format!("127.0.0.1:{}", listener.port).parse().unwrap();
    let slow = radius(over_tls(&server, vec![at(trickling(address).await)]));
    accepted(log_in(&slow, "ada", "analytical").await);
}

/// Calls `say` with the number of each connection and its request: what it says is sent, and then
/// the connection is cut.
async fn saying(
    server: &FreeRadius,
    say: impl Fn(usize, &[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> (Server, Arc<AtomicUsize>) {
    let chain = CertificateDer::pem_file_iter(server.certificate("server.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(server.certificate("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let said = say(counted.fetch_add(1, Ordering::Relaxed), &request[..length]);
            let _ = stream.write_all(&said).await;
            let _ = stream.flush().await;
        }
    });
    (at(address), count)
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again_and_what_is_no_radius_is_not_read_on() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let accept = |request: &[u8]| {
        signed(
            request,
            radius::core::code::Code::AccessAccept,
            &[],
            "radsec",
        )
    };
    let (broken_once, count) = saying(&server, move |number, request| match number {
        0 => accept(request)[..10].to_vec(),
        _ => accept(request),
    })
    .await;
    accepted(log_in(&radius(over_tls(&server, vec![broken_once])), "ada", "x").await);
    assert_eq!(count.load(Ordering::Relaxed), 2);

    let (always_broken, count) = saying(&server, |_, _| Vec::new()).await;
    let because =
        unavailable(log_in(&radius(over_tls(&server, vec![always_broken])), "ada", "x").await);
    assert!(because.contains("hung up"), "{because}");
    assert_eq!(count.load(Ordering::Relaxed), 2);

    let (endless, count) = saying(&server, |_, _| vec![0xff; 100_000]).await;
    let because = unavailable(log_in(&radius(over_tls(&server, vec![endless])), "ada", "x").await);
    assert!(because.contains("no RADIUS"), "{because}");
    assert_eq!(count.load(Ordering::Relaxed), 1);

    // The secret of all still has to be known, and the answer to be one to this request.
    let (foreign, _) = saying(&server, |_, request| {
        signed(
            request,
            radius::core::code::Code::AccessAccept,
            &[],
            "guessed",
        )
    })
    .await;
    unavailable(log_in(&radius(over_tls(&server, vec![foreign])), "ada", "x").await);
}
