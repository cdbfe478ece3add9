//! The options of reverse tunnels, at both ends.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::limits::seconds;
use crate::{
    reverse::{DIAL_TOKEN, Dial, DialUrl, ReverseProtocol, Token, TunnelName, TunnelSpec, tokens},
    trust::{Authorities, Trust},
};

/// The options of reverse tunnels, at both ends.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reverse tunnels")]
pub(crate) struct ReverseArgs {
    /// Dials out to a gateway, `https://HOST/NAME`, and serves over that connection: files,
    /// and the routes of --proxy. The gateway is a lacewingd with --tunnel NAME=FILE. A lost
    /// tunnel is dialled again. May be repeated.
    #[arg(long, value_name = "URL")]
    dial: Vec<DialUrl>,

    /// The file with the token that the gateway knows. Default: the environment variable
    /// LACEWINGD_DIAL_TOKEN.
    #[arg(long, value_name = "FILE")]
    dial_token_file: Option<PathBuf>,

    /// The protocol in which the gateway sends its requests.
    #[arg(long, value_name = "PROTOCOL", value_enum, default_value_t)]
    dial_protocol: ReverseProtocol,

    /// Trusts the certificates of this PEM file too, for gateways.
    #[arg(long, value_name = "FILE")]
    dial_ca: Option<PathBuf>,

    /// Accepts lacewingd processes that dial in (--dial) under this name with the token in
    /// the file, on all addresses. They are the upstream `tunnel:NAME` of --proxy; several
    /// under one name share its requests. May be repeated.
    #[arg(long, value_name = "NAME=FILE")]
    tunnel: Vec<TunnelSpec>,

    /// The time without a byte in a tunnel after which a PING asks whether the other end is
    /// there. Without an answer within the same time it is given up.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    tunnel_keep_alive: Duration,
}

impl ReverseArgs {
    /// Returns whether requests come by connections that this program dials.
    pub(crate) fn dials(&self) -> bool {
        !self.dial.is_empty()
    }

    /// Returns whether others may dial in.
    pub(crate) fn accepts(&self) -> bool {
        !self.tunnel.is_empty()
    }

    /// Returns whether others may dial in under this name.
    pub(crate) fn accepts_name(&self, name: &TunnelName) -> bool {
        self.tunnel.iter().any(|tunnel| tunnel.name == *name)
    }

    /// Returns whether there is a place to read the token of --dial from.
    pub(crate) fn has_token(&self) -> bool {
        self.dial_token_file.is_some() || std::env::var_os(DIAL_TOKEN).is_some()
    }

    pub(crate) fn keep_alive(&self) -> Duration {
        self.tunnel_keep_alive
    }

    /// The tunnels that this program dials, with their token.
    pub(crate) fn dialled(&self) -> Result<Vec<Dial>, String> {
        if !self.dials() {
            return Ok(Vec::new());
        }
        let token = match &self.dial_token_file {
            Some(file) => Token::read(file).map_err(|why| format!("--dial-token-file: {why}"))?,
            None => Token::of_environment()?,
        };
        let trust = match &self.dial_ca {
            Some(file) => Trust::Also(Authorities::read("--dial-ca", file)?),
            None => Trust::Mozilla,
        };
        let dials = self.dial.iter().map(|url| Dial {
            url: url.clone(),
            protocol: self.dial_protocol,
            token: token.clone(),
            trust: trust.clone(),
            keep_alive: self.tunnel_keep_alive,
        });
        Ok(dials.collect())
    }

    /// The tokens of the tunnels that others dial.
    pub(crate) fn accepted(&self) -> Result<Vec<(TunnelName, Token)>, String> {
        tokens(&self.tunnel)
    }
}
