// SPDX-License-Identifier: Apache-2.0
use super::{Around, Consent, Error, Link, Response, Scopes, SignIn, SignOut, Texts};

pub const TEXTS: Texts = Texts {
    default_title: "Verbundene Konten",
    signed_in_as: "Sie sind angemeldet als",
    allow: "Erlauben",
    deny: "Nicht erlauben",
    cancel: "Abbrechen",
    sign_in: SignIn {
        heading: "Anmelden",
        application: Around("und weiter zu ", ""),
        explanation: "Wählen Sie, womit Sie sich anmelden möchten. Ihr Passwort bleibt bei dem Dienst, \
                      den Sie wählen.",
        with: Around("Weiter mit ", ""),
        cancelled: "Sie haben die Anmeldung abgebrochen. Versuchen Sie es noch einmal oder wählen Sie \
                    einen anderen Weg.",
        failed: "Das hat nicht geklappt. Versuchen Sie es noch einmal oder wählen Sie einen anderen Weg.",
        again: "Bitte melden Sie sich noch einmal an, um zu bestätigen, dass Sie es sind.",
    },
    consent: Consent {
        heading: "Zugriff erlauben?",
        application: Around("", " möchte auf Ihr Konto zugreifen."),
        list: "Wenn Sie es erlauben, kann diese Anwendung:",
        trust: "Erlauben Sie das nur, wenn Sie der Anwendung vertrauen.",
        host: Around("In jedem Fall kehren Sie zu ", " zurück."),
    },
    scopes: Scopes {
        openid: "Sie beim Anmelden wiedererkennen",
        profile: "Ihren Namen und Ihr Bild sehen",
        email: "Ihre E-Mail-Adresse sehen",
        offline_access: "Diesen Zugriff behalten, während Sie nicht da sind",
        connect_accounts: "Konten verbinden, die Sie bei anderen Diensten haben",
        list_accounts: "Sehen, welche Konten Sie verbunden haben",
        disconnect_accounts: "Verbundene Konten wieder trennen",
        list_identities: "Sehen, mit welchen Konten Sie sich anmelden",
        unlink_identities: "Konten entfernen, mit denen Sie sich anmelden",
        other: Around("Die Berechtigung „", "“ nutzen"),
    },
    link: Link {
        heading: "Eine weitere Anmeldung hinzufügen?",
        added: "Sie fügen hinzu",
        effect: "Danach können Sie sich hier mit beiden Konten anmelden.",
        trust: "Fügen Sie das Konto nur hinzu, wenn beide Ihnen gehören: Mit jedem der beiden kommt \
                man hier herein.",
        allow: "Hinzufügen",
        deny: "Nicht hinzufügen",
    },
    sign_out: SignOut {
        heading: "Abmelden?",
        question: "Möchten Sie sich jetzt abmelden?",
        yes: "Abmelden",
        done_heading: "Sie sind abgemeldet",
        done: "Sie können diese Seite schließen.",
        elsewhere: "Bei dem Dienst, mit dem Sie sich hier angemeldet haben, sind Sie vielleicht noch \
                    angemeldet.",
        back: Around("Zurück zu ", ""),
    },
    error: Error {
        not_connected: "Das Konto wurde nicht verbunden",
        not_signed_in: "Sie wurden nicht angemeldet",
        not_signed_out: "Sie wurden nicht abgemeldet",
        not_linked: "Das Konto wurde nicht hinzugefügt",
        link_is_over: "Dieser Link gilt nicht mehr",
        no_answer: "Im Moment kommt keine Antwort",
        invalid: "Dieser Link ist ungültig. Gehen Sie zurück zur Anwendung und versuchen Sie es noch \
                  einmal.",
        expired: "Dieser Link ist abgelaufen. Gehen Sie zurück zur Anwendung und versuchen Sie es noch \
                  einmal.",
        used: "Dieser Link wurde schon benutzt. Gehen Sie zurück zur Anwendung und versuchen Sie es noch \
               einmal.",
        used_connect: "Dieser Link wurde schon benutzt. Die Anwendung zeigt, ob das Konto \
                       verbunden ist; wenn nicht, beginnen Sie dort von vorn.",
        other_browser: "Dieser Vorgang wurde in einem anderen Browser begonnen. Schließen Sie ihn dort ab \
                        oder beginnen Sie in der Anwendung von vorn.",
        unavailable: "Der Dienst ist im Moment nicht erreichbar. Gehen Sie zurück zur Anwendung und \
                      versuchen Sie es später noch einmal.",
        misconfigured: "Diese Verbindung ist nicht richtig eingerichtet. Darum muss sich ihr Betreiber \
                        kümmern.",
        application: "Die Anwendung hat eine fehlerhafte Anfrage gestellt. Darum muss sich ihr Entwickler \
                      kümmern.",
        account_taken: "Dieses Konto gehört hier schon zu einem anderen Benutzer. Melden Sie sich damit an \
                        oder wählen Sie ein anderes Konto.",
        too_many_accounts: "Sie haben schon so viele Konten hinzugefügt, wie möglich sind.",
        disabled: "Ihr Zugang wurde gesperrt. Bitte wenden Sie sich an den Betreiber dieses Dienstes.",
        sign_in_too_old: "Dafür muss Ihre Anmeldung wenige Minuten alt sein. Melden Sie sich neu an und \
                          versuchen Sie es noch einmal.",
        of_application: Around("Die Anwendung heißt ", "."),
        detail: "Für den Entwickler",
    },
    response: Response {
        almost: "Fast fertig",
        going: Around("Sie kehren zu ", " zurück."),
        nothing_happens: "Wenn nichts passiert, drücken Sie den Knopf.",
        go_on: "Weiter",
        done: "Fertig",
        close: "Sie können dieses Fenster schließen.",
    },
};
