//! The whole program with a directory that hangs, or talks nonsense.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    eventually,
    node::{Node, PASSWORD, post, user},
};

/// A directory that says this to whatever it is asked, and then nothing more; ends with the test.
fn saying(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut asked = [0; 512];
                while let Ok(1..) = stream.read(&mut asked) {
                    if stream.write_all(bytes).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The result of a bind.
const BOUND: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

/// A directory that answers byte by byte, and takes longer for each answer than a log-in has.
fn dribbling() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut asked = [0; 512];
                while let Ok(1..) = stream.read(&mut asked) {
                    for byte in BOUND {
                        pause();
                        if stream.write_all(&[*byte]).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

#[expect(
    clippy::disallowed_methods,
    reason = "the directory is a thread that nothing else runs on"
)]
fn pause() {
    thread::sleep(Duration::from_secs(2));
}

/// A directory that resets whoever asks it something.
async fn resetting() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 512]).await;
                stream.set_zero_linger().unwrap();
            });
        }
    });
    address
}

/// A service in front of one that echoes.
fn echoing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = stream.try_clone().unwrap();
                // Ends when the client does.
                let _ = std::io::copy(&mut reader, &mut stream);
            });
        }
    });
    address
}

fn config(directory: SocketAddr, behind: SocketAddr) -> String {
    let root = user("root", "role = \"admin\"");
    format!(
        r#"
[admin]
http = {{ listen = "127.0.0.1:0" }}

[auth]
backends = ["ldap"]
fallback = "local-break-glass"

[auth.ldap]
urls = ["ldap://{directory}"]
start_tls = false
bind_dn = "cn=svc,dc=example,dc=org"
bind_password = "svc-secret"
user_base = "dc=example,dc=org"

{root}
[[service]]
name = "web"
listen = ["127.0.0.1:0"]
[[service.group]]
name = "blue"
host = [{{ name = "w1", address = "{behind}" }}]
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_hangs_babbles_dribbles_or_resets_holds_up_log_ins_and_nothing_else() {
    let mut directories = vec![dribbling(), resetting().await];
    directories.extend(
        [
            &b""[..],
            b"\x30\x84\xff\xff\xff\xff nonsense",
            b"SSH-2.0-x\r\n",
            // At each of these the library panics; nothing of that may be heard (the end of the node
            // looks for it): a result without a code, and one that is none of a search.
            b"\x30\x05\x02\x01\x01\x61\x00",
            BOUND,
        ]
        .map(saying),
    );
    for directory in directories {
        let node = Node::start(&config(directory, echoing())).await;
        let shown = json!({"user": "ada", "password": "ada-secret"});
        let session = node.address();
        thread::scope(|scope| {
            let entering = scope.spawn(|| {
                let since = Instant::now();
                (node.post_http("/v1/login", None, &shown), since.elapsed())
            });
            let mut rounds = 0;
            while !entering.is_finished() || rounds == 0 {
                let since = Instant::now();
                node.done(json!({"command": "status"}));
                let mut stream = TcpStream::connect(session).unwrap();
                stream.write_all(b"ping").unwrap();
                let mut echo = [0; 4];
                stream.read_exact(&mut echo).unwrap();
                assert_eq!(&echo, b"ping");
                assert!(since.elapsed() < Duration::from_secs(3), "others wait");
                rounds += 1;
            }
            let (answer, took) = entering.join().unwrap();
            assert_eq!(answer.0, 503, "{}", answer.1);
            assert!(took < Duration::from_secs(16), "{took:?}");
        });
        // Now that it is known to be away, local users need not wait for it.
        let since = Instant::now();
        let root = json!({"user": "root", "password": PASSWORD});
        let answer = node.post("/v1/login", None, &root);
        assert_eq!(answer.1["data"]["by"], "break-glass", "{}", answer.1);
        assert!(since.elapsed() < Duration::from_secs(5));
        let away = node.post("/v1/login", None, &shown);
        assert_eq!(away.0, 503, "only a directory rejects: {}", away.1);
        let wrong = json!({"user": "root", "password": "guessed"});
        assert_eq!(node.post("/v1/login", None, &wrong).0, 401);
    }
}

/// Logs somebody in over TCP: the status and the answer, or nothing where the door is shut.
async fn entering(address: SocketAddr, number: usize) -> Option<u16> {
    let user = format!("user{number}");
    let body = json!({"user": user, "password": "guessed"});
    let request = post(&address.to_string(), "/v1/login", None, &body);
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_log_ins_at_once_at_a_directory_that_hangs_hold_up_nothing_else() {
    let node = Node::start(&config(saying(b""), echoing())).await;
    let (door, session) = (node.http(), node.address());
    let mut all = tokio::task::JoinSet::new();
    for number in 0..1000 {
        all.spawn(entering(door, number));
    }
    let mut rounds = 0;
    while rounds < 20 {
        let since = Instant::now();
        node.done(json!({"command": "status"}));
        let mut stream = TcpStream::connect(session).unwrap();
        Write::write_all(&mut stream, b"ping").unwrap();
        let mut echo = [0; 4];
        Read::read_exact(&mut stream, &mut echo).unwrap();
        assert!(since.elapsed() < Duration::from_secs(3), "others wait");
        rounds += 1;
    }
    assert!(node.memory() < 100 << 20, "{} bytes", node.memory());
    let mut answered = 0;
    while let Some(answer) = all.join_next().await {
        if let Some(status) = answer.unwrap() {
            assert!(matches!(status, 429 | 503), "{status}");
            answered += 1;
        }
    }
    assert!(answered > 0);
    // Afterwards the door is open again.
    eventually!(matches!(entering(door, 0).await, Some(429 | 503)));
}
