// SPDX-License-Identifier: Apache-2.0
use super::{Around, Consent, Error, Link, Response, Scopes, SignIn, SignOut, Texts};

pub const TEXTS: Texts = Texts {
    default_title: "Connected accounts",
    signed_in_as: "You are signed in as",
    allow: "Allow",
    deny: "Don’t allow",
    cancel: "Cancel",
    sign_in: SignIn {
        heading: "Sign in",
        application: Around("to continue to ", ""),
        explanation: "Choose how you want to sign in. Your password stays with the service you choose.",
        with: Around("Continue with ", ""),
        cancelled: "You cancelled signing in. You can try again or choose another way.",
        failed: "That didn’t work. Please try again or choose another way.",
        again: "Please sign in once more to confirm that it’s you.",
    },
    consent: Consent {
        heading: "Allow access?",
        application: Around("", " would like access to your account."),
        list: "If you allow it, this application can:",
        trust: "Only allow this if you trust the application.",
        host: Around("Either way, you will return to ", "."),
    },
    scopes: Scopes {
        openid: "Recognise you when you sign in",
        profile: "See your name and picture",
        email: "See your email address",
        offline_access: "Keep this access while you are away",
        connect_accounts: "Connect accounts that you have with other services",
        list_accounts: "See which accounts you have connected",
        disconnect_accounts: "Disconnect accounts that you have connected",
        other: Around("Use the permission “", "”"),
    },
    link: Link {
        heading: "Add another way to sign in?",
        added: "You are adding",
        effect: "From then on, you can sign in here with either account.",
        trust: "Only add it if both accounts are yours: whoever has one of them gets in.",
        allow: "Add",
        deny: "Don’t add",
    },
    sign_out: SignOut {
        heading: "Sign out?",
        question: "Do you want to sign out now?",
        yes: "Sign out",
        done_heading: "You are signed out",
        done: "You can close this page.",
        elsewhere: "You may still be signed in to the service that you used to sign in here.",
        back: Around("Back to ", ""),
    },
    error: Error {
        not_connected: "The account was not connected",
        not_signed_in: "You were not signed in",
        not_signed_out: "You were not signed out",
        not_linked: "The account was not added",
        invalid: "This link is not valid. Go back to the application and try again.",
        expired: "This link has expired. Go back to the application and try again.",
        used: "This link was used already. Go back to the application and try again.",
        other_browser: "This was started in another browser. Finish it there, or start again from the \
                        application.",
        unavailable: "The service cannot be reached at the moment. Go back to the application and try \
                      again later.",
        misconfigured: "This connection is not set up correctly. Its operator has to look into it.",
        application: "The application made a mistake in its request. Its developer has to look into it.",
        account_taken: "This account already belongs to another user here. Sign in with it, or choose \
                        another account.",
        too_many_accounts: "You have already added as many accounts as you can.",
        disabled: "Your access has been turned off. Please contact the people who run this service.",
        sign_in_too_old: "For this, you need to have signed in within the last few minutes. Sign in \
                          again and retry.",
        detail: "For the developer",
    },
    response: Response {
        almost: "Almost done",
        going: Around("You are returning to ", "."),
        nothing_happens: "If nothing happens, press the button.",
        go_on: "Continue",
        done: "Done",
        close: "You can close this window.",
    },
};
