//! Unix sockets: who may come by them, what is carried over them, and what becomes of the files.

use std::{
    fs,
    io::{ErrorKind, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

use pointsman::{control::Balancer, model::topology::Topology};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream},
    runtime::Handle,
};

use super::support::{at_rest, echo, pattern, refused, soon, status};
use crate::eventually;

/// A folder of its own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "pointsman-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, SeqCst)
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The topology of a service with `keys` that listens at `listen`, and one host at `host`.
fn topology(listen: &Path, host: &str, keys: &str, group_keys: &str) -> Topology {
    let listen = listen.display();
    let text = format!(
        "[[service]]\nname = \"web\"\nlisten = [\"unix:{listen}\", \"127.0.0.1:0\"]\n{keys}\n\
         [[service.group]]\nname = \"blue\"\n{group_keys}\n\
         host = [{{ name = \"w1\", address = \"{host}\" }}]\n"
    );
    toml::from_str(&text).unwrap()
}

fn start(topology: Topology) -> Balancer {
    Balancer::start(topology, Handle::current()).unwrap()
}

/// A host on a Unix socket that echoes, and the end with the end.
fn echo_at(path: &Path) -> String {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    format!("unix:{}", path.display())
}

/// Sends `message`, finishes, and returns what comes until the end.
async fn ask(path: &Path, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path).await?;
    let (mut read, mut write) = stream.split();
    let sending = async {
        write.write_all(message).await?;
        write.shutdown().await
    };
    let mut answer = Vec::new();
    let (sent, received) =
        soon(async { tokio::join!(sending, read.read_to_end(&mut answer)) }).await;
    sent.and(received)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_the_end_go_through_unix_sockets_on_both_sides() {
    let folder = Folder::new();
    let (path, host) = (folder.path("web.sock"), echo_at(&folder.path("w1.sock")));
    let balancer = start(topology(&path, &host, "", ""));
    assert_eq!(ask(&path, b"hello").await.unwrap(), b"hello");
    // Bulk goes by splice, by the shared buffer what is left; from TCP too.
    let bulk = pattern(20_000_000, 3);
    assert!(ask(&path, &bulk).await.unwrap() == bulk);
    let mut tcp = TcpStream::connect(balancer.addresses(&"web".parse().unwrap())[0])
        .await
        .unwrap();
    let (mut read, mut write) = tcp.split();
    let sending = async {
        write.write_all(&bulk).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut answer = Vec::new();
    let (_, received) = soon(async { tokio::join!(sending, read.read_to_end(&mut answer)) }).await;
    received.unwrap();
    assert!(answer == bulk);
    eventually!(at_rest(&balancer));
    assert_eq!(status(&balancer).groups[0].hosts[0].sessions.total, 3);
    assert_eq!(
        status(&balancer).listen[0].to_string(),
        format!("unix:{}", path.display())
    );
}

#[tokio::test]
async fn what_comes_after_a_message_that_carried_a_descriptor_is_passed_on() {
    let folder = Folder::new();
    let (path, host) = (folder.path("web.sock"), echo_at(&folder.path("w1.sock")));
    let balancer = start(topology(&path, &host, "", ""));
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"x").await.unwrap();
    soon(client.read_exact(&mut [0])).await.unwrap();
    // All at once: this runs on the thread that the balancer runs on.
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut carried = SendAncillaryBuffer::new(&mut room);
    let descriptor = [client.as_fd()];
    assert!(carried.push(SendAncillaryMessage::ScmRights(&descriptor)));
    let first = [IoSlice::new(b"with a descriptor, ")];
    sendmsg(&client, &first, &mut carried, SendFlags::NOSIGNAL).unwrap();
    rustix::io::write(&client, b"and without").unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "with a descriptor, and without");
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn the_file_has_the_mode_that_is_wanted_also_after_a_change_and_goes_with_its_listener() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let host = echo().await.to_string();
    let balancer = start(topology(&path, &host, "", ""));
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o660);
    balancer
        .apply(topology(&path, &host, "unix_mode = \"0600\"", ""))
        .unwrap();
    assert_eq!(mode(), 0o600);
    let mut session = UnixStream::connect(&path).await.unwrap();
    session.write_all(b"on").await.unwrap();
    // It moves: the new one is there before the old one goes, and sessions go on.
    let moved = folder.path("moved.sock");
    balancer.apply(topology(&moved, &host, "", "")).unwrap();
    assert!(!path.exists() && moved.exists());
    let mut answer = [0; 2];
    soon(session.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"on");
    // And back at once, while the backlog of the old one is still served.
    balancer.apply(topology(&path, &host, "", "")).unwrap();
    assert_eq!(ask(&path, b"back").await.unwrap(), b"back");
    drop(session);
    balancer.shut_down(std::time::Duration::ZERO).await;
    assert!(!path.exists() && !moved.exists());
}

#[tokio::test]
async fn what_a_dead_process_left_is_replaced_and_what_is_used_is_not() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let host = echo().await.to_string();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    let balancer = start(topology(&path, &host, "", ""));
    assert_eq!(ask(&path, b"new").await.unwrap(), b"new");
    let another = Balancer::start(topology(&path, &host, "", ""), Handle::current());
    let error = another.unwrap_err().to_string();
    assert!(error.ends_with("web.sock: address in use"), "{error}");
    assert_eq!(ask(&path, b"still").await.unwrap(), b"still");
    let file = folder.path("file");
    fs::write(&file, "mine").unwrap();
    let error = balancer.apply(topology(&file, &host, "", "")).unwrap_err();
    assert!(
        error.to_string().ends_with("entity already exists"),
        "{error}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(ask(&path, b"still").await.unwrap(), b"still");
}

#[tokio::test]
async fn a_socket_that_cannot_be_made_changes_nothing_and_says_which() {
    let folder = Folder::new();
    let (path, host) = (folder.path("web.sock"), echo().await.to_string());
    let balancer = start(topology(&path, &host, "", ""));
    let (link, nowhere) = (folder.path("link"), folder.path("nowhere"));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    std::os::unix::fs::symlink("nobody", &nowhere).unwrap();
    for (place, says) in [
        (folder.path("missing/web.sock"), "entity not found"),
        (folder.path("web.sock/web.sock"), "not a directory"),
        (link.clone(), "entity already exists"),
        (nowhere.clone(), "entity already exists"),
    ] {
        let refused = balancer.apply(topology(&place, &host, "", ""));
        let told = refused.unwrap_err().to_string();
        assert!(
            told.contains(&format!("unix:{}", place.display())),
            "{told}"
        );
        assert!(told.ends_with(says), "{told}");
        assert_eq!(ask(&path, b"still").await.unwrap(), b"still");
    }
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert!(fs::symlink_metadata(nowhere).unwrap().is_symlink());
    let long = format!("unix:/{}", "x".repeat(107));
    assert!(long.parse::<pointsman::model::address::Endpoint>().is_err());
}

#[tokio::test]
async fn a_file_that_somebody_put_in_the_place_of_ours_is_left_alone() {
    let folder = Folder::new();
    let (path, host) = (folder.path("web.sock"), echo().await.to_string());
    let balancer = start(topology(&path, &host, "", ""));
    fs::remove_file(&path).unwrap();
    let theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    balancer
        .apply(topology(&path, &host, "unix_mode = \"0666\"", ""))
        .unwrap();
    assert_eq!(mode(), 0o640);
    // Away and back: it is refused for as long as they are there.
    let moved = folder.path("moved.sock");
    balancer.apply(topology(&moved, &host, "", "")).unwrap();
    assert!(path.exists());
    let back = balancer.apply(topology(&path, &host, "", ""));
    assert!(back.unwrap_err().to_string().ends_with("address in use"));
    drop(theirs);
    balancer.apply(topology(&path, &host, "", "")).unwrap();
    assert_eq!(ask(&path, b"ours").await.unwrap(), b"ours");
    assert!(!moved.exists());
}

#[tokio::test]
async fn a_refused_topology_leaves_no_file_behind() {
    let folder = Folder::new();
    let (path, taken) = (folder.path("web.sock"), folder.path("taken"));
    fs::write(&taken, "").unwrap();
    let mut wanted = topology(&path, "127.0.0.1:9", "", "");
    let place = format!("unix:{}", taken.display());
    wanted.services[0].listen.push(place.parse().unwrap());
    assert!(Balancer::start(wanted, Handle::current()).is_err());
    assert!(!path.exists());
}

#[tokio::test]
async fn a_host_that_is_gone_or_has_no_room_fails_and_another_is_tried() {
    let folder = Folder::new();
    let full = folder.path("full.sock");
    let socket = socket_without_backlog(&full);
    let _waiting = std::os::unix::net::UnixStream::connect(&full).unwrap();
    let path = folder.path("web.sock");
    let mut wanted = topology(&path, &format!("unix:{}", full.display()), "", "");
    wanted.services[0].groups[0].scheduler =
        serde_json::from_value("first-available".into()).unwrap();
    let hosts = &mut wanted.services[0].groups[0].hosts;
    for (name, address) in [
        ("w2", format!("unix:{}", folder.path("gone.sock").display())),
        ("w3", echo_at(&folder.path("w3.sock"))),
    ] {
        let mut host = hosts[0].clone();
        (host.name, host.address) = (name.parse().unwrap(), address.parse().unwrap());
        hosts.push(host);
    }
    let balancer = start(wanted);
    assert_eq!(ask(&path, b"third").await.unwrap(), b"third");
    let status = status(&balancer);
    assert_eq!(status.retries, 2);
    assert_eq!(status.groups[0].hosts[0].connect_failures, 1);
    drop(socket);
}

/// A listener whose backlog has one place.
fn socket_without_backlog(path: &Path) -> std::os::fd::OwnedFd {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&fd, &SocketAddrUnix::new(path).unwrap()).unwrap();
    listen(&fd, 0).unwrap();
    fd
}

#[tokio::test]
async fn of_access_rules_only_those_about_all_are_about_a_client_on_a_unix_socket() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let host = echo().await.to_string();
    let rules = |rules: &str| topology(&path, &host, &format!("access = {rules}"), "");
    let balancer = start(rules(r#"["deny 0.0.0.0/0", "deny ::/0"]"#));
    assert_eq!(ask(&path, b"in").await.unwrap(), b"in");
    balancer
        .apply(rules(r#"["allow 0.0.0.0/0", "deny all"]"#))
        .unwrap();
    let refusal = ask(&path, b"out").await;
    // A Unix socket knows no reset; where something was sent, its end is an error.
    assert!(refusal.map_or_else(
        |error| matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        |answer| answer.is_empty()
    ));
    assert_eq!(refused(&balancer, "denied"), 1);
}

#[tokio::test]
async fn all_clients_of_unix_sockets_are_one_client() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let host = echo().await.to_string();
    let balancer = start(topology(&path, &host, "limits = { per_client = 1 }", ""));
    let mut first = UnixStream::connect(&path).await.unwrap();
    first.write_all(b"x").await.unwrap();
    soon(first.read_exact(&mut [0])).await.unwrap();
    let _ = ask(&path, b"second").await;
    assert_eq!(refused(&balancer, "client_full"), 1);
}

#[tokio::test]
async fn a_host_is_told_of_a_unix_client_by_the_proxy_protocol() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let host = echo_at(&folder.path("w1.sock"));
    let balancer = start(topology(&path, &host, "", "send_proxy = \"v1\""));
    assert_eq!(ask(&path, b"x").await.unwrap(), b"PROXY UNKNOWN\r\nx");
    balancer
        .apply(topology(&path, &host, "", "send_proxy = \"v2\""))
        .unwrap();
    let heard = ask(&path, b"x").await.unwrap();
    assert_eq!(heard.len(), 16 + 216 + 1);
    assert_eq!(heard[12..16], [0x21, 0x31, 0, 216]);
    let called = heard[16 + 108..].split(|byte| *byte == 0).next().unwrap();
    assert_eq!(called, path.as_os_str().as_encoded_bytes());
}

#[tokio::test]
async fn a_host_on_a_unix_socket_is_probed_there() {
    let folder = Folder::new();
    let host = echo_at(&folder.path("w1.sock"));
    let probe = "probe = { kind = \"tcp\", interval = \"100ms\", timeout = \"100ms\", rise = 1 }";
    let balancer = start(topology(&folder.path("web.sock"), &host, "", probe));
    eventually!(status(&balancer).groups[0].hosts[0].health.health.word() == "up");
}

#[tokio::test]
async fn a_client_that_leaves_or_a_host_that_dies_ends_the_session() {
    let folder = Folder::new();
    let (path, host) = (folder.path("web.sock"), folder.path("w1.sock"));
    let listener = UnixListener::bind(&host).unwrap();
    let balancer = start(topology(&path, &format!("unix:{}", host.display()), "", ""));
    for host_leaves in [true, false] {
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"x").await.unwrap();
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        soon(stream.read_exact(&mut [0])).await.unwrap();
        if host_leaves {
            drop(stream);
            let ended = soon(client.read(&mut [0])).await;
            assert!(ended.is_err() || ended.is_ok_and(|read| read == 0));
            drop(client);
        } else {
            drop(client);
            let ended = soon(stream.read(&mut [0])).await;
            assert!(ended.is_err() || ended.is_ok_and(|read| read == 0));
            drop(stream);
        }
        eventually!(at_rest(&balancer));
    }
}
