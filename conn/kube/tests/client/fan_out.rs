//! Several clients that are attached to one process of a container runtime.

use lacewing_kube::{
    CommandOutcome, CommandStreams,
    client::CommandRequest,
    cri::{AttachRequest, CriOptions, CriServer, ExecRequest, PortForwardRequest, Runtime},
    server::{ExecSession, Forward},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::broadcast,
};

use crate::{server::Server, *};

/// A process whose output every attached client has.
struct Process {
    output: broadcast::Sender<Vec<u8>>,
}

impl Runtime for Process {
    async fn exec(&self, _: ExecRequest, _: &mut ExecSession) -> CommandOutcome {
        CommandOutcome::Failed("only attach".to_owned())
    }

    async fn attach(&self, _: AttachRequest, session: &mut ExecSession) -> CommandOutcome {
        let mut output = self.output.subscribe();
        let stdout = session.stdout.as_mut().unwrap();
        loop {
            match output.recv().await {
                // The end of the process.
                Ok(piece) if piece.is_empty() => return CommandOutcome::Success,
                Ok(piece) => {
                    if stdout.write_all(&piece).await.is_err() {
                        return CommandOutcome::Success;
                    }
                }
                Err(error) => return CommandOutcome::Failed(error.to_string()),
            }
        }
    }

    async fn port_forward(&self, _: PortForwardRequest, forward: Forward) {
        forward.fail("only attach").await;
    }
}

#[tokio::test(start_paused = true)]
async fn attached_clients_have_all_output_and_a_slow_one_delays_no_other() {
    let before = tasks();
    let (output, _) = broadcast::channel(16);
    let process = Process {
        output: output.clone(),
    };
    let options = CriOptions::at("127.0.0.1:1".parse().unwrap());
    let cri = CriServer::new(process, options).unwrap();
    let server = Server::new({
        let cri = cri.clone();
        move |request| cri.handle(request)
    });
    let mut sessions = Vec::new();
    for transport in [
        StreamingProtocol::Spdy,
        StreamingProtocol::Spdy,
        StreamingProtocol::WebSocketFirst,
    ] {
        let url = cri.attach_url(AttachRequest {
            container_id: "c1".to_owned(),
            streams: CommandStreams::from_query("stdout=true"),
        });
        let uri = format!("{}?stdout=true", url.unwrap()).parse().unwrap();
        let request = CommandRequest::new(uri).with(|request| request.transport = transport);
        sessions.push(soon(request.connect(|| server.dial())).await.unwrap());
    }
    while output.receiver_count() < sessions.len() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The first client reads nothing while megabytes pass to the others.
    let mut slow = sessions.remove(0);
    let mut readers = Vec::new();
    for session in &mut sessions {
        readers.push(session.stdout.take().unwrap());
    }
    let mut received = vec![0; 50_000];
    for number in 0..600_u32 {
        let piece = vec![(number % 251) as u8; 50_000];
        output.send(piece.clone()).unwrap();
        for reader in &mut readers {
            soon(reader.read_exact(&mut received)).await.unwrap();
            assert!(received == piece, "piece {number}");
        }
    }
    output.send(Vec::new()).unwrap();
    for (mut session, mut reader) in sessions.into_iter().zip(readers) {
        assert_eq!(soon(reader.read_to_end(&mut received)).await.unwrap(), 0);
        let outcome = soon(session.outcome()).await.unwrap();
        assert_eq!(outcome, CommandOutcome::Success);
    }
    // This runtime tells a client that was too slow.
    let mut rest = Vec::new();
    let mut stdout = slow.stdout.take().unwrap();
    let (_, outcome) =
        soon(async { tokio::join!(stdout.read_to_end(&mut rest), slow.outcome()) }).await;
    let outcome = outcome.unwrap();
    assert!(
        matches!(&outcome, CommandOutcome::Failed(text) if text.contains("lagged")),
        "{outcome:?}"
    );
    assert!(!rest.is_empty() && rest.len() < 30_000_000);
    drop((slow, stdout, server, cri));
    tasks_end(before).await;
}
