//! Options that contradict each other, or lack another one. No file is read for it.

use lacewing_server::Protocol;

use crate::{
    args::{Args, Listen, Runtime},
    reverse::DIAL_TOKEN,
    settings,
};

/// Refuses options with which the program could not serve.
pub(crate) fn check(args: &Args) -> Result<(), String> {
    addresses(args)?;
    certificates(args)?;
    tunnels(args)
}

fn addresses(args: &Args) -> Result<(), String> {
    if !settings::listens(args) && !args.reverse.dials() {
        return Err(
            "both --https and --http are off: no client could connect; give one of them an address"
                .into(),
        );
    }
    if matches!(args.https, Listen::Unix(_)) {
        return Err("--https takes no Unix socket; --http does".into());
    }
    if cfg!(not(unix)) && matches!(args.http, Listen::Unix(_)) {
        return Err("--http: this system has no Unix sockets".into());
    }
    Ok(())
}

fn certificates(args: &Args) -> Result<(), String> {
    let (certificates, keys) = (args.cert.len(), args.key.len());
    if certificates != keys {
        return Err(format!(
            "--cert is there {certificates} times and --key {keys} times: each certificate needs its \
             key, in the same order"
        ));
    }
    Ok(())
}

/// Refuses tunnels that nobody could use.
fn tunnels(args: &Args) -> Result<(), String> {
    for name in args.proxy.tunnels() {
        if !args.reverse.accepts_name(name) {
            return Err(format!(
                "--proxy leads to tunnel:{name}, which nobody may dial: add --tunnel {name}=FILE"
            ));
        }
    }
    if args.reverse.accepts() && !settings::listens(args) {
        return Err(
            "--tunnel needs --https or --http, where diallers connect: both are off".into(),
        );
    }
    if args.reverse.accepts() && !args.protocols.contains(&Protocol::Http1) {
        return Err("--tunnel needs http/1.1 among --protocols: diallers begin in it".into());
    }
    if args.reverse.accepts() && args.runtime == Runtime::PerThread {
        return Err("--tunnel needs --runtime shared: all threads use one tunnel".into());
    }
    if args.reverse.dials() && !args.reverse.has_token() {
        return Err(format!(
            "--dial needs the token that the gateway knows: --dial-token-file FILE, or the \
             environment variable {DIAL_TOKEN}"
        ));
    }
    Ok(())
}
