//! Reverse tunnels: a lacewingd that nobody can reach, the *dialler*, dials out to another, the
//! *gateway*, and serves over the connection that it dialled.
//!
//! The dialler asks for an upgrade of HTTP/1.1, with the name of a tunnel and a bearer token. After
//! the 101, the sides change: the gateway is the client of HTTP/2 or SPDY/3.1 on this connection, and
//! the dialler the server.

mod attempt;
mod backoff;
mod diallers;
mod gateway;
mod handshake;
mod limits;
mod name;
mod token;
mod tunnel;
mod tunnels;

pub(crate) use self::{
    attempt::{Dial, DialUrl},
    diallers::{Diallers, Serving},
    gateway::{answer, is_asked},
    handshake::ReverseProtocol,
    name::TunnelName,
    token::{DIAL_TOKEN, Token},
    tunnel::Tunnel,
    tunnels::{TunnelSpec, Tunnels, tokens},
};
