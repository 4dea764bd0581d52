//! What there is of client-side caching: nothing yet, and what says so.

use super::args::Args;
use super::error::CommandError;
use crate::clients::Context;
use crate::resp::reply::Reply;

type Done = Result<(), CommandError>;

/// The options of CLIENT TRACKING, as far as they are checked when it is turned off.
fn check_options(context: &Context<'_>, args: &Args<'_>) -> Done {
    let mut options = args.options(3);
    while !options.is_empty() {
        let has_value = options.left() >= 2;
        let is_known = ["BCAST", "OPTIN", "OPTOUT", "NOLOOP"]
            .iter()
            .any(|word| options.take(word));
        if is_known {
            continue;
        }
        if has_value && options.take("REDIRECT") {
            let id = u64::try_from(options.integer()?).unwrap_or(0);
            if context.services.clients.get(id).is_none() {
                return Err(CommandError::text(
                    "ERR The client ID you want redirect to does not exist",
                ));
            }
        } else if has_value && options.take("PREFIX") {
            options.next()?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(())
}

/// CLIENT TRACKING.
pub(super) fn tracking(context: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check_options(context, args)?;
    if args.is(2, "OFF") {
        reply.status("OK");
        Ok(())
    } else if args.is(2, "ON") {
        Err(CommandError::text(
            "ERR CLIENT TRACKING ON is not supported yet: no connection is told of keys that change",
        ))
    } else {
        Err(CommandError::Syntax)
    }
}

/// CLIENT TRACKINGINFO.
pub(super) fn info(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(1);
    reply.bulk(b"off");
    reply.bulk(b"redirect");
    reply.integer(-1);
    reply.bulk(b"prefixes");
    reply.array(0);
    Ok(())
}

/// CLIENT CACHING.
pub(super) fn caching(_: &mut Context<'_>, _: &Args<'_>, _: &mut dyn Reply) -> Done {
    Err(CommandError::text(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
         OPTOUT mode enabled",
    ))
}

/// CLIENT GETREDIR.
pub(super) fn redirection(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.integer(-1);
    Ok(())
}
