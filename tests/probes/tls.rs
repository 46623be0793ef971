//! TLS: certificates good and bad, shown by a real server.

use std::{path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{contract::Folder, *};

/// A server that shows a certificate, on a runtime of its own, and answers each request with 200.
struct Server {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    fn with((cert_file, key_file): &(PathBuf, PathBuf)) -> Self {
        let chain = vec![CertificateDer::from_pem_file(cert_file).unwrap()];
        let key = PrivateKeyDer::from_pem_file(key_file).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nready").await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }
}

/// Means that trust the certificate in `file` under the name `inside`.
fn trusting(file: &Path) -> Means {
    Means::new(
        BTreeMap::new(),
        BTreeMap::from([("inside".parse().unwrap(), file.to_owned())]),
    )
}

fn keys(more: Value) -> Value {
    let mut keys = json!({"kind": "tls", "ca": "inside", "timeout": "1s"});
    for (key, value) in more.as_object().unwrap() {
        keys[key] = value.clone();
    }
    keys
}

#[test]
fn a_certificate_is_judged_by_its_name_its_end_and_who_vouches_for_it() {
    let alone = alone();
    let folder = Folder::new("tls");
    let Some(files) = certificate(&folder.0, "inside", "DNS:db.example,IP:127.0.0.1", 20) else {
        return;
    };
    let server = Server::with(&files);
    let means = trusting(&files.0);
    let ask = |more, means| alone.ask(keys(more), means, server.address);

    let outcome = ask(json!({"server_name": "db.example"}), &means);
    came_to(&outcome, Verdict::Passed, "the certificate ends in ");
    assert!(matches!(outcome.certificate_days, Some(19 | 20)) && !outcome.warning);
    assert_eq!(
        ask(json!({}), &means).verdict,
        Verdict::Passed,
        "its address is in it"
    );

    let outcome = ask(json!({"warn_days": 21}), &means);
    assert_eq!((outcome.verdict, outcome.warning), (Verdict::Passed, true));
    let outcome = ask(json!({"min_days": 21, "warn_days": 30}), &means);
    came_to(&outcome, Verdict::Failed, " days, not 21");
    assert!(matches!(outcome.certificate_days, Some(19 | 20)) && !outcome.warning);

    let outcome = ask(json!({"server_name": "other.example"}), &means);
    came_to(
        &outcome,
        Verdict::Failed,
        "the certificate is not for other.example",
    );
    let other = certificate(&folder.0, "other", "DNS:other.example", 20).unwrap();
    let outcome = ask(json!({}), &trusting(&other.0));
    came_to(
        &outcome,
        Verdict::Failed,
        "nobody who is trusted vouches for the certificate",
    );
}

#[test]
fn a_host_that_speaks_no_tls_or_stops_in_the_middle_fails() {
    let alone = alone();
    let folder = Folder::new("no-tls");
    let Some((file, _)) = certificate(&folder.0, "inside", "DNS:a", 2) else {
        return;
    };
    for (manner, reason) in [
        (Manner::Hangs, "did not finish the TLS handshake in time"),
        (Manner::HangsUp, "broke off the TLS handshake"),
        (
            Manner::Says("HTTP/1.1 400 Bad Request\r\n\r\n"),
            "the TLS handshake with 127.0.0.1",
        ),
        (
            Manner::Floods("\u{16}\u{3}\u{3}"),
            "the TLS handshake with 127.0.0.1",
        ),
    ] {
        let host = Host::that(manner);
        let keys = json!({"kind": "tls", "ca": "inside"});
        let outcome = alone.ask(keys, &trusting(&file), host.address);
        came_to(&outcome, Verdict::Failed, reason);
    }
}

#[test]
fn http_goes_over_tls_where_it_is_told_to() {
    let alone = alone();
    let folder = Folder::new("https");
    let Some(files) = certificate(&folder.0, "inside", "DNS:web.example", 2) else {
        return;
    };
    let server = Server::with(&files);
    let keys = |name| {
        json!({"kind": "http", "tls": true, "ca": "inside", "server_name": name,
        "body": "ready", "timeout": "1s"})
    };
    let outcome = alone.ask(keys("web.example"), &trusting(&files.0), server.address);
    came_to(&outcome, Verdict::Passed, "answers 200");
    let outcome = alone.ask(keys("other.example"), &trusting(&files.0), server.address);
    came_to(
        &outcome,
        Verdict::Failed,
        "the certificate is not for other.example",
    );
}

#[test]
fn a_file_without_certificates_makes_no_probe() {
    let folder = Folder::new("empty");
    let file = folder.join("empty.pem");
    std::fs::write(&file, "nothing").unwrap();
    let error = prober(keys(json!({})), &trusting(&file)).unwrap_err();
    assert!(
        error.to_string().contains("there is no certificate in it"),
        "{error}"
    );
}
