//! TLS: a certificate, and another one in its place.

use std::path::Path;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{certificate::certificate, *};

/// Makes a certificate for localhost in `folder`; `None` when there is no openssl.
fn certify(folder: &Path, name: &str) -> Option<CertificateFiles> {
    let (cert_file, key_file) = certificate(folder, name, "DNS:localhost", 2)?;
    Some(CertificateFiles {
        cert_file,
        key_file,
    })
}

/// A connection that trusts the certificate in `cert_file` alone.
async fn connect(node: &Node, cert_file: &Path) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(cert_file).unwrap();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = node.over_tcp().await;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test]
async fn a_certificate_follows_its_files_and_a_broken_one_is_not_taken() {
    let made = folder();
    let Some(files) = certify(&made, "one") else {
        return;
    };
    let second = certify(&made, "two").unwrap();
    let first = made.join("first.pem");
    fs::copy(&files.cert_file, &first).unwrap();
    let node = Node::with(true, None, Some(files.clone())).await;
    let stream = connect(&node, &first).await.unwrap();
    let head = "POST /v1/commands\ncontent-type: application/json\n\
                origin: https://localhost\nauthorization: Bearer viewer";
    let reply = ask(stream, head, r#"{"command":"status"}"#).await;
    assert_eq!(reply.status, 200);
    // Who does not speak TLS gets nowhere.
    let mut plain = node.over_tcp().await;
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(reply_is_none(plain).await);

    let look = Duration::from_millis(1100);
    fs::write(&files.cert_file, "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    tokio::time::sleep(look).await;
    connect(&node, &first)
        .await
        .expect("the old one still works");

    // A new certificate whose key is not there yet is not taken either.
    fs::copy(&second.cert_file, &files.cert_file).unwrap();
    tokio::time::sleep(look).await;
    connect(&node, &first)
        .await
        .expect("the old one still works");

    fs::copy(&second.key_file, &files.key_file).unwrap();
    tokio::time::sleep(look).await;
    connect(&node, &second.cert_file)
        .await
        .expect("the new one");
    assert!(connect(&node, &first).await.is_err());
    fs::remove_dir_all(&made).unwrap();
}

async fn reply_is_none(mut stream: TcpStream) -> bool {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    !bytes.starts_with(b"HTTP")
}

#[tokio::test]
async fn files_that_are_no_certificate_are_refused_by_name() {
    let made = folder();
    let files = CertificateFiles {
        cert_file: made.join("none.pem"),
        key_file: made.join("none.key"),
    };
    let bind = || {
        let options = TcpOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate: Some(files.clone()),
            hosts: Vec::new(),
        };
        TcpDoor::bind(options).unwrap_err().to_string()
    };
    assert!(bind().contains("none.pem"), "{}", bind());
    fs::write(&files.cert_file, "no PEM").unwrap();
    assert!(bind().contains("no certificate"), "{}", bind());
    fs::remove_dir_all(&made).unwrap();
}
