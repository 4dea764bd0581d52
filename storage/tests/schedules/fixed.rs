//! One small program for each race that is too rare to be met by chance.
