//! One small program for each race that is too rare to be met by chance.

use crate::operation::{Step, Way};
use crate::program::{Action, Program};
use crate::runner::many;

#[test]
fn torn() {
    use Step::*;
    use Way::*;
    many(|| {
        Program {
            before: vec![SetUntil(1, 1, 3), Set(3, 10), SetUntil(2, 20, 5)],
            threads: vec![
                vec![Action::Run(Optimistic, vec![Get(2), Keys(2), Get(3)])],
                vec![
                    Action::Run(Direct, vec![SetUntil(2, 30, 2), Rename(1, 3)]),
                    Action::Run(Exclusive, vec![SetUntil(2, 40, 2), Copy(1, 2, 50)]),
                ],
                vec![Action::Time(3), Action::Maintain, Action::Time(6)],
            ],
            listens: false,
        }
        .run()
    });
}
