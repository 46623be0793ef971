//! Another program in the place of one that runs: nobody notices, or it says why not.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use crate::{
    config, eventually,
    manager::Manager,
    support::{echo, exchange, soon},
    upgrade::{Heir, PROGRAM, install, install_broken, prepare, upgrade},
};

pub(super) async fn session(address: SocketAddr) -> TcpStream {
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    client
}

#[tokio::test]
async fn an_upgrade_keeps_sessions_addresses_and_revisions_and_the_old_process_ends_with_its_last_session()
 {
    let mut manager = Manager::new();
    let mut node = prepare(&config(&[echo().await]));
    manager.runs(&mut node, Some(Duration::from_secs(10)));
    node.up().await;
    let address = node.address();
    node.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": 3}));
    let mut old = session(address).await;

    let (heir, answer) = upgrade(&node).await;
    assert_eq!(answer["data"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(answer["revision"], 2);
    assert_eq!(
        node.revision(),
        2,
        "the new process answers, on the same socket"
    );
    assert_eq!(
        node.address(),
        address,
        "a port that the system chose stays"
    );
    let mut new = session(address).await;
    assert_eq!(exchange(&mut old, b"still").await.unwrap(), b"still");

    let told = &node.told("node.upgraded")[0];
    assert_eq!(told["process"], heir.0.as_raw_nonzero().get());
    assert_ne!(told["from"]["process"], told["process"]);
    let audited = node.told("admin.command");
    let audited = audited
        .iter()
        .find(|data| data["command"] == "upgrade")
        .unwrap();
    assert_eq!(
        (&audited["ok"], &audited["reason"]),
        (&json!(true), &json!("a newer one"))
    );
    assert_eq!(node.told("node.stopping"), Vec::<Value>::new());

    let process = heir.0.as_raw_nonzero().get().to_string();
    eventually!(manager.told("MAINPID") == [process.as_str(), process.as_str()]);
    eventually!(manager.told("READY").len() == 2);
    assert!(manager.told("STOPPING").is_empty(), "the service goes on");
    let fed = manager.told("WATCHDOG").len();
    eventually!(manager.told("WATCHDOG").len() > fed);

    drop(old);
    assert_eq!(node.ended().await, Some(0), "{}", node.log());
    assert_eq!(exchange(&mut new, b"still").await.unwrap(), b"still");
    let socket = node.folder.join("pointsman-state/admin.sock");
    assert!(socket.exists(), "it is the new process's");
    drop(new);
    kill_process(heir.0, Signal::TERM).unwrap();
    eventually!(heir.has_ended());
    eventually!(manager.told("STOPPING") == ["1"]);
    eventually!(!socket.exists());
}

#[tokio::test]
async fn a_program_that_cannot_take_over_is_named_with_the_reason_and_the_old_one_goes_on() {
    let mut node = prepare(&config(&[echo().await]));
    node.up().await;
    let address = node.address();
    let mut kept = session(address).await;

    let fails = async |why: &str| {
        let (code, message) = node.refused(json!({"command": "upgrade"}));
        assert!(message.contains(why), "{code}: {message}");
        drop(session(address).await);
        node.done(json!({"command": "close-sessions", "host": "web/blue/w1", "dry_run": true}));
    };
    install(&node, "/nonexistent/pointsman");
    fails("cannot start").await;
    install(&node, "/bin/true");
    fails("ended before it was ready").await;
    install_broken(&node, "crash");
    fails("ended before it was ready").await;
    // It comes as far as recording what was edited: that holds, and runs here.
    node.edit("address = \"127", "weight = 7\naddress = \"127");
    install_broken(&node, "crash-late");
    fails("ended before it was ready").await;
    assert_eq!(node.revision(), 2);
    assert_eq!(node.shown()[0]["group"][0]["host"][0]["weight"], 7);
    let good = node.file();
    install_broken(&node, "hang");
    fails("was not ready within 10s").await;
    install(&node, PROGRAM);
    node.write(&(good.clone() + "\ncolour = \"red\"\n"));
    fails("the new program refuses").await;
    node.write(&good);

    assert_eq!(
        node.told("node.upgrade-failed").len(),
        3,
        "those that had the journal"
    );
    let refused = node.told("admin.command");
    let refused = refused.iter().filter(|data| data["command"] == "upgrade");
    assert_eq!(refused.filter(|data| data["ok"] == false).count(), 6);
    let dry = node.done(json!({"command": "upgrade", "dry_run": true}));
    assert_eq!(dry["revision"], 2);
    node.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": 3}));

    let (_heir, _) = upgrade(&node).await;
    drop(session(address).await);
    assert_eq!(exchange(&mut kept, b"kept").await.unwrap(), b"kept");
    assert_eq!(node.revision(), 3);
}

#[tokio::test]
async fn who_waits_in_a_full_backlog_is_served_by_the_new_process() {
    let text = config(&[echo().await]).replace("threads = 2", "threads = 1");
    let manager = Manager::new();
    let mut node = prepare(&text);
    manager.runs(&mut node, None);
    node.up_with("stuck-data:1").await;
    let address = node.address();
    // Nobody accepts any more: a connection is made by the kernel, and gets no answer.
    eventually!({
        let mut client = soon(TcpStream::connect(address)).await.unwrap();
        let answered = exchange(&mut client, b"anybody?");
        tokio::time::timeout(Duration::from_millis(300), answered)
            .await
            .is_err()
    });
    let mut waiting = Vec::new();
    for _ in 0..200 {
        waiting.push(soon(TcpStream::connect(address)).await.unwrap());
    }
    let (_heir, _) = upgrade(&node).await;
    for client in &mut waiting {
        assert_eq!(exchange(client, b"waited").await.unwrap(), b"waited");
    }
    node.kill();
    for client in &mut waiting {
        assert_eq!(exchange(client, b"goes on").await.unwrap(), b"goes on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket_keeps_its_file_and_serves_all_along_and_goes_with_the_last_process() {
    let mut node = prepare(&config(&[echo().await]));
    let path = node.folder.join("web.sock");
    node.edit(
        "\"127.0.0.1:0\"",
        &format!("\"127.0.0.1:0\", \"unix:{}\"", path.display()),
    );
    node.up().await;
    let inode = || fs::metadata(&path).unwrap().ino();
    let file = inode();
    let mut old = UnixStream::connect(&path).await.unwrap();
    assert_eq!(echoed(&mut old).await.unwrap(), *b"hello");

    let (stop, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load = (0..4).map(|_| {
        let (stop, served, path) = (Arc::clone(&stop), Arc::clone(&served), path.clone());
        tokio::spawn(async move {
            while !stop.load(SeqCst) {
                let mut client = soon(UnixStream::connect(&path)).await?;
                assert_eq!(echoed(&mut client).await?, *b"hello");
                served.fetch_add(1, SeqCst);
            }
            std::io::Result::Ok(())
        })
    });
    let load: Vec<_> = load.collect();
    eventually!(served.load(SeqCst) > 50);
    install_broken(&node, "crash");
    node.refused(json!({"command": "upgrade"}));
    assert_eq!(inode(), file, "who fails leaves it alone");
    install(&node, PROGRAM);
    let (first, _) = upgrade(&node).await;
    let (second, _) = upgrade(&node).await;
    let so_far = served.load(SeqCst);
    eventually!(served.load(SeqCst) > so_far + 4);
    stop.store(true, SeqCst);
    for client in load {
        client.await.unwrap().unwrap();
    }
    assert_eq!(echoed(&mut old).await.unwrap(), *b"hello");
    drop(old);
    assert_eq!(node.ended().await, Some(0), "{}", node.log());
    eventually!(first.has_ended());
    assert_eq!(inode(), file);
    let mut new = UnixStream::connect(&path).await.unwrap();
    assert_eq!(echoed(&mut new).await.unwrap(), *b"hello");
    drop(new);
    kill_process(second.0, Signal::TERM).unwrap();
    eventually!(second.has_ended());
    assert!(!path.exists());
}

pub(super) async fn echoed(client: &mut UnixStream) -> std::io::Result<[u8; 5]> {
    client.write_all(b"hello").await?;
    let mut answer = [0; 5];
    soon(client.read_exact(&mut answer)).await?;
    Ok(answer)
}

#[tokio::test]
async fn log_ins_and_a_change_that_waits_to_be_confirmed_are_taken_over() {
    let users = crate::node::user("root", "role = \"admin\"");
    let mut node = prepare(&(config(&[echo().await]) + "\n" + &users));
    node.up().await;
    let token = node.login("root");
    let ask = |command: &Value| node.post("/v1/commands", Some(&token), command).1;
    let weighted = json!({"command": "set-weight", "host": "web/blue/w1", "weight": 3,
        "confirm_within": "1m"});
    assert_eq!(ask(&weighted)["ok"], true);
    let upgraded = ask(&json!({"command": "upgrade"}));
    assert_eq!(upgraded["ok"], true, "{upgraded}");
    let _heir = Heir::of(&upgraded);
    let confirmed = ask(&json!({"command": "confirm", "revision": 2}));
    assert_eq!(confirmed["ok"], true, "{confirmed}");
    assert!(Path::new(&node.folder).exists());
}
