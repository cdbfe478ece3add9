//! Kubernetes' exec and port-forward, and raw streams, for `cargo xtask bench`: both sides, with
//! one thread.

use std::time::Instant;

use clap::{Parser, Subcommand, ValueEnum};
use lacewing_benches::kube::{self, Direction, Kind};
use lacewing_benches::{Error, cpu, runtime};

/// A side of exec, port-forward or raw streams over SPDY/3.1, on 127.0.0.1
#[derive(Debug, Parser)]
struct Arguments {
    /// Port of the server
    #[arg(long, value_name = "P")]
    port: u16,
    #[command(subcommand)]
    role: Role,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Role {
    /// Serve exec and port-forward
    Serve,
    /// Serve raw streams
    Raw,
    /// Serve the port of a pod, which a port-forward leads to
    Pod,
    /// Move bytes through a server, and print the CPU time of this client
    Load {
        kind: LoadKind,
        /// Bytes to move
        bytes: u64,
        /// Port of the pod
        #[arg(long, value_name = "P", default_value_t = 0)]
        pod: u16,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LoadKind {
    ExecStdout,
    ExecStdin,
    ForwardDown,
    ForwardUp,
    RawDown,
    RawUp,
}

fn main() -> Result<(), Error> {
    let Arguments { port, role } = Arguments::parse();
    runtime::build(1)?.block_on(async {
        let listen = || kube::listen(port);
        match role {
            Role::Serve => kube::serve(listen()?).await,
            Role::Raw => kube::serve_raw(listen()?).await,
            Role::Pod => kube::serve_pod(listen()?).await,
            Role::Load { kind, bytes, pod } => load(kind, port, bytes, pod).await,
        }
    })
}

#[allow(clippy::cast_precision_loss)]
async fn load(kind: LoadKind, port: u16, bytes: u64, pod: u16) -> Result<(), Error> {
    let kind = match kind {
        LoadKind::ExecStdout => Kind::ExecStdout,
        LoadKind::ExecStdin => Kind::ExecStdin,
        LoadKind::ForwardDown => Kind::Forward(Direction::Down, pod),
        LoadKind::ForwardUp => Kind::Forward(Direction::Up, pod),
        LoadKind::RawDown => Kind::Raw(Direction::Down),
        LoadKind::RawUp => Kind::Raw(Direction::Up),
    };
    let started = Instant::now();
    kube::run(kind, port, bytes).await?;
    let (elapsed, used) = (started.elapsed(), cpu::used().ok_or("no schedstat")?);
    let gigabytes = bytes as f64 / 1e9;
    lacewing_benches::say!("{:.0} MB/s", gigabytes * 1e3 / elapsed.as_secs_f64());
    lacewing_benches::say!(
        "client CPU: {:.1} ms/GB",
        used.as_secs_f64() * 1e3 / gigabytes
    );
    Ok(())
}
