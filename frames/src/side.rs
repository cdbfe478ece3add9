//! The two ends of a connection.

/// An end of a connection. Roles do not depend on which side dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Opens streams with odd ids.
    Client,
    /// Opens streams (pushes) with even ids.
    Server,
}
