//! The HTTP API over real sockets: what it answers, whom it knows, and what it does not put up
//! with. The control task is a stand-in.

#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm
)]

mod answers;
#[path = "../support/certificate.rs"]
mod certificate;
mod certificates;
mod hostile;
mod peers;
mod stream;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use pointsman::{
    control::{Control, answer::Answer},
    doors::{
        Authority,
        authority::{Accepted, Attempt, Beside, Later, Login, LoginReply, Proof},
        http::{
            Api,
            tcp::{CertificateFiles, TcpDoor, TcpOptions},
            unix::SocketDoor,
        },
    },
    model::{
        command::{Command, Request},
        error::{Code, CommandError},
        policy::authorize,
        principal::{Door, Principal, Role, Scope},
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_util::sync::CancellationToken;

/// A node with both doors open, in a folder of its own.
struct Node {
    control: Control,
    authority: Arc<Known>,
    stop: CancellationToken,
    folder: PathBuf,
    tcp: SocketAddr,
    served: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Node {
    /// One on which people log in.
    async fn start() -> Self {
        Self::with(true, None, None).await
    }

    async fn with(
        logins: bool,
        group: Option<&str>,
        certificate: Option<CertificateFiles>,
    ) -> Self {
        let control = Control::stand_in("lb1".parse().unwrap(), 8, carry_out);
        Self::around(control, logins, group, certificate).await
    }

    async fn around(
        control: Control,
        logins: bool,
        group: Option<&str>,
        certificate: Option<CertificateFiles>,
    ) -> Self {
        let folder = folder();
        let authority = Arc::new(Known {
            logins,
            ended: AtomicBool::new(false),
        });
        let stop = CancellationToken::new();
        let api = Api::new(control.clone(), Arc::clone(&authority) as _, stop.clone());
        let socket = SocketDoor::bind(&folder.join("admin.sock"), group).unwrap();
        let options = TcpOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate,
            hosts: Vec::new(),
        };
        let door = TcpDoor::bind(options).unwrap();
        let tcp = door.address();
        let second = api.clone();
        let served = vec![
            tokio::spawn(async move { socket.serve(api).await.unwrap() }),
            tokio::spawn(async move { door.serve(second).await.unwrap() }),
        ];
        Self {
            control,
            authority,
            stop,
            folder,
            tcp,
            served,
        }
    }

    async fn unix(&self) -> UnixStream {
        UnixStream::connect(self.folder.join("admin.sock"))
            .await
            .unwrap()
    }

    async fn over_tcp(&self) -> TcpStream {
        TcpStream::connect(self.tcp).await.unwrap()
    }

    /// Posts a command over the socket.
    async fn command(&self, token: &str, command: &Value) -> Reply {
        let head = format!("POST /v1/commands\n{}", bearer(token));
        ask(self.unix().await, &head, command.to_string()).await
    }
}

/// The folder of a node; a socket's path must be short.
fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("pm-door-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn bearer(token: &str) -> String {
    if token.is_empty() {
        String::new()
    } else {
        format!("authorization: Bearer {token}\n")
    }
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    fn code(&self) -> String {
        let code = &self.json()["error"]["code"];
        code.as_str().unwrap_or_default().to_owned()
    }
}

/// Sends a request of `head` (`METHOD PATH`, then a header a line) and `body`; reads the reply.
async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    head: &str,
    body: impl AsRef<[u8]>,
) -> Reply {
    let body = body.as_ref();
    let (first, headers) = head.split_once('\n').unwrap_or((head, ""));
    let mut text = format!("{first} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.lines().any(|line| line.starts_with("host:")) {
        text += "host: localhost\r\n";
    }
    if !headers.contains("content-length:") {
        text += &format!("content-length: {}\r\n", body.len());
    }
    for header in headers.lines().filter(|line| !line.is_empty()) {
        text += &format!("{header}\r\n");
    }
    text += "\r\n";
    // It may hang up before it has read everything.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.write_all(body).await;
    reply(stream).await.expect("no reply")
}

/// Reads until the end; `None` when there was nothing.
async fn reply(mut stream: impl AsyncRead + Unpin) -> Option<Reply> {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let read = tokio::time::timeout(Duration::from_secs(30), read).await;
    let _ = read.expect("took over thirty seconds");
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_lowercase(),
        body: body.to_owned(),
    })
}

/// Four people, whose tokens are their names.
#[derive(Debug)]
struct Known {
    logins: bool,
    ended: AtomicBool,
}

impl Known {
    fn find(&self, token: &str, door: Door, from: &str) -> Option<Principal> {
        let (role, services) = match token {
            "viewer" => (Role::Viewer, "*"),
            "operator" => (Role::Operator, "*"),
            "admin" => (Role::Admin, "*"),
            "web-admin" => (Role::Admin, "web*"),
            _ => return None,
        };
        (!self.ended.load(Ordering::Relaxed)).then(|| Principal {
            user: token.to_owned(),
            role,
            services: Scope::new(vec![services.to_owned()]),
            by: "local".to_owned(),
            door,
            from: from.to_owned(),
            login: Some(format!("login-{token}")),
        })
    }

    fn judge(&self, attempt: &Attempt) -> LoginReply {
        let user = attempt.user.as_str();
        match (&attempt.proof, user) {
            (_, "away") => LoginReply::Unavailable("the directory is away".to_owned()),
            (_, "hasty") => LoginReply::SlowDown {
                retry_after: Duration::from_millis(1500),
            },
            (Proof::Password(_), "otp") => LoginReply::Challenge {
                challenge: "code?".to_owned(),
                state: "s1".to_owned(),
            },
            (Proof::Code { state, otp }, "otp")
                if state.expose_secret() == "s1" && otp.expose_secret() == "42" =>
            {
                accepted("viewer")
            }
            (Proof::Password(password), user) if password.expose_secret() == "right" => {
                accepted(user)
            }
            _ => LoginReply::Rejected,
        }
    }
}

fn accepted(user: &str) -> LoginReply {
    LoginReply::Accepted(Box::new(Accepted {
        token: user.into(),
        login: Login {
            login: format!("login-{user}"),
            user: user.to_owned(),
            role: Role::Viewer,
            services: Scope::all(),
            by: "local".to_owned(),
            expires: "2030-01-01T00:00:00Z".to_owned(),
        },
    }))
}

impl Authority for Known {
    fn required(&self) -> bool {
        self.logins
    }

    fn login(&self, attempt: Attempt) -> Later<'_, LoginReply> {
        Box::pin(async move { self.judge(&attempt) })
    }

    fn login_with<'a>(
        &'a self,
        attempt: Attempt,
        _: Beside<'a>,
    ) -> Later<'a, Result<LoginReply, CommandError>> {
        Box::pin(async move { Ok(self.judge(&attempt)) })
    }

    fn principal_of<'a>(&'a self, _: &'a str, _: Door, _: &'a str) -> Later<'a, Option<Principal>> {
        Box::pin(async { None })
    }

    fn principal<'a>(
        &'a self,
        token: &'a SecretString,
        door: Door,
        from: &'a str,
    ) -> Later<'a, Option<Principal>> {
        Box::pin(async move { self.find(token.expose_secret(), door, from) })
    }

    fn logout<'a>(&'a self, token: &'a SecretString) -> Later<'a, Result<bool, CommandError>> {
        Box::pin(async move {
            let known = self.find(token.expose_secret(), Door::Socket, "").is_some();
            self.ended.store(true, Ordering::Relaxed);
            Ok(known)
        })
    }
}

/// Judges as the control task does, and fails as `rollback` tells it to.
fn carry_out(principal: Principal, request: Request, id: String) -> Answer {
    let command = request.command.clone();
    let refused = |code| Err(CommandError::new(code, "as told"));
    let done = match authorize(&principal, command, None) {
        Err(error) => Err(error),
        Ok(authorized) => match authorized.command() {
            Command::Rollback { revision: 404 } => refused(Code::NotFound),
            Command::Rollback { revision: 409 } => refused(Code::Conflict),
            Command::Rollback { revision: 500 } => refused(Code::Failed),
            Command::Rollback { revision: 503 } => refused(Code::Unavailable),
            Command::Rollback { revision: 400 } => refused(Code::Invalid),
            Command::Whoami {} => Ok(json!(principal)),
            _ => Ok(json!({ "command": request.to_json() })),
        },
    };
    match done {
        Ok(data) => Answer::done(id, 42, Vec::new(), data),
        Err(error) => Answer::refused(id, 42, error),
    }
}
