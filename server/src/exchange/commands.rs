//! The commands of handlers, on the connection's task.

use std::sync::Arc;

use lacewing_conn::driver::facade::Context;

use super::Exchanges;
use crate::{
    HttpService,
    commands::{Command, Commands, commands},
};

impl<S: HttpService> Exchanges<S> {
    /// Returns the list of commands for a request's extensions. The first call
    /// creates it.
    pub(super) fn commands(&mut self, conn: &mut Context<'_>) -> Arc<Commands> {
        let commands = self
            .commands
            .get_or_insert_with(|| commands(conn.notifier()));
        Arc::clone(commands)
    }

    /// Carries out the commands of handlers, ahead of their responses.
    #[inline]
    pub(super) fn handle_commands(&mut self, conn: &mut Context<'_>) {
        if let Some(commands) = &self.commands {
            let commands = Arc::clone(commands);
            self.take_commands(conn, &commands);
        }
    }

    #[inline(never)]
    fn take_commands(&mut self, conn: &mut Context<'_>, commands: &Commands) {
        for command in commands.take() {
            // The handler may have dropped the delivery.
            match command {
                Command::Inform {
                    stream,
                    head,
                    report,
                } => {
                    let _ = report.send(self.inform(conn, stream, head));
                }
                Command::Push {
                    parent,
                    request,
                    report,
                } => {
                    let _ = report.send(self.push(conn, parent, request));
                }
            }
        }
    }
}
