//! Errors of a bad configuration whose `Debug` is their sentence, like their `Display`. A program's
//! `fn main() -> Result<(), Box<dyn Error>>` prints the `Debug` of an error, and its operator should read a sentence.

macro_rules! debug_is_sentence {
    ($error:ty) => {
        impl std::fmt::Debug for $error {
            /// The sentence of `Display`, because `main` prints this.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

pub(crate) use debug_is_sentence;
