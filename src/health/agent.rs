//! The probe that asks the host for its own word, in the line protocol of HAProxy's agent-check.
//! It must not follow the word; it reports it.

use std::{future::Future, pin::Pin};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{
    Asked, Outcome, Probe, Target,
    connect::{Stream, connect, within},
};

mod answer;

/// The longest line that an agent may answer, in bytes.
const MAX_LINE: usize = 1024;

/// Asks the agent of a host.
#[derive(Debug)]
pub(super) struct Agent {
    /// What is sent before the answer is read.
    pub(super) send: Option<String>,
}

impl Probe for Agent {
    fn ask<'a>(
        &'a self,
        _target: &'a Target,
        address: &'a Asked,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            match self.line(address, deadline).await {
                Ok(line) => answer::read(&line),
                Err(outcome) => outcome,
            }
        })
    }
}

impl Agent {
    async fn line(&self, address: &Asked, deadline: Instant) -> Result<String, Outcome> {
        let mut stream = connect(address, deadline).await?;
        let late = format!("the agent at {address} did not answer a whole line");
        let talk = async {
            if let Some(text) = &self.send {
                stream.write_all(text.as_bytes()).await?;
            }
            read_line(&mut stream).await
        };
        let cannot =
            |error| Outcome::of_error(&format!("the agent at {address} gave no answer"), &error);
        let line = within(deadline, &late, talk).await?.map_err(cannot)?;
        if line.len() > MAX_LINE {
            let message = format!("the agent at {address} answers more than {MAX_LINE} bytes");
            return Err(Outcome::failed(message));
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// What comes up to the end of the line, or of the stream, or just more than a line may have.
async fn read_line(stream: &mut dyn Stream) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; MAX_LINE + 1];
    loop {
        let read = stream.read(&mut buffer).await?;
        let fresh = buffer.get(..read).unwrap_or_default();
        let end = fresh.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        line.extend_from_slice(fresh.get(..end.unwrap_or(read)).unwrap_or_default());
        if read == 0 || end.is_some() || line.len() > MAX_LINE {
            return Ok(line);
        }
    }
}
