//! Elements of EXEC's reply: those that are kept for all attempts, and those that are errors.

use super::Core;
use super::exec_counts::count_failure;
use super::multi::Item;
use super::script_run::Ended;
use crate::commands::args::Args;
use crate::commands::command::Run;
use crate::commands::error::CommandError;
use crate::resp::encode::{Encoder, Protocol};
use crate::resp::reply::{Mark, Reply};

/// What a command did that is not run again with the others.
pub(super) struct Cached {
    pub(super) reply: Vec<u8>,
    /// What it selected.
    pub(super) database: Option<usize>,
    /// What it agreed on with HELLO.
    pub(super) protocol: Option<Protocol>,
    /// It holds for this attempt only: a script gave up because of what it read.
    pub(super) is_of_attempt: bool,
}

impl Cached {
    pub(super) fn for_all_attempts(reply: Vec<u8>) -> Cached {
        Cached {
            reply,
            database: None,
            protocol: None,
            is_of_attempt: false,
        }
    }
}

/// The element of a script that was ended.
pub(super) fn error_reply(core: &Core, ended: &Ended) -> Vec<u8> {
    let text = ended.error(false);
    core.services.stats.count_error(&text);
    let mut reply = Vec::new();
    Encoder::new(&mut reply, core.client.protocol).error(&text);
    reply
}

/// Runs a command on the connection, once for all attempts.
pub(super) fn run_client(core: &mut Core, item: &Item, database: usize) -> Cached {
    let mut reply = Vec::new();
    let arguments = item.arguments.to_vec();
    let protocol = core.client.protocol;
    let own = std::mem::replace(&mut core.client.database, database);
    if let Run::Client(handler) = item.entry.command.run {
        let args = Args::new(&arguments);
        let result = handler(
            &mut core.context(),
            &args,
            &mut Encoder::new(&mut reply, protocol),
        );
        // One who cannot wait has its reply already.
        if let Err(error) = result
            && !matches!(error, CommandError::WouldBlock(_))
        {
            reply.clear();
            count_failure(core, item, &error);
            Encoder::new(&mut reply, protocol).error(&error.wire());
        }
    }
    // What is selected becomes the client's own at the commit.
    let database = std::mem::replace(&mut core.client.database, own);
    Cached {
        database: Some(database),
        protocol: Some(core.client.protocol),
        ..Cached::for_all_attempts(reply)
    }
}

/// Writes a command's error as its element, which is returned, or leaves its reply.
pub(super) fn finish_item(
    result: Result<(), CommandError>,
    reply: &mut Encoder<'_>,
    mark: Mark,
) -> Option<CommandError> {
    match result {
        // One who cannot wait has its reply already.
        Ok(()) | Err(CommandError::WouldBlock(_)) => None,
        Err(error) => {
            reply.rewind(mark);
            reply.error(&error.wire());
            Some(error)
        }
    }
}
