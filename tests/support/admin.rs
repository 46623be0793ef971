//! A client of the Unix socket: as much HTTP/1.1 as commands take.
//! It must not try again: a test wants to know what became of the one request.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::{io, path::Path};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

/// A connection that is kept.
pub struct Admin(BufReader<UnixStream>);

impl Admin {
    pub async fn connect(socket: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(socket).await?)))
    }

    /// Sends a command and waits for its answer; an error says that there will be none.
    pub async fn ask(&mut self, command: &Value) -> io::Result<Value> {
        self.send(command).await?;
        self.answer().await
    }

    /// Sends a command. Its answer comes after those of the commands before it.
    pub async fn send(&mut self, command: &Value) -> io::Result<()> {
        let body = command.to_string();
        let length = body.len();
        let head =
            format!("POST /v1/commands HTTP/1.1\r\nhost: pm\r\ncontent-length: {length}\r\n\r\n");
        self.0.write_all((head + &body).as_bytes()).await
    }

    /// The next answer.
    pub async fn answer(&mut self) -> io::Result<Value> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(serde_json::from_slice(&body).expect("a whole answer is JSON"))
    }

    /// The `data` of a query.
    pub async fn data(&mut self, command: Value) -> Value {
        let mut answer = self.ask(&command).await.expect("the node lives");
        assert_eq!(answer["ok"], true, "{command}: {answer}");
        answer["data"].take()
    }
}
