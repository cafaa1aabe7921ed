// SPDX-License-Identifier: Apache-2.0
use super::{Around, Consent, Error, Link, Response, Scopes, SignIn, SignOut, Texts};

pub const TEXTS: Texts = Texts {
    default_title: "Comptes connectés",
    signed_in_as: "Vous êtes connecté en tant que",
    allow: "Autoriser",
    deny: "Refuser",
    cancel: "Annuler",
    sign_in: SignIn {
        heading: "Connexion",
        application: Around("pour accéder à ", ""),
        explanation: "Choisissez comment vous connecter. Votre mot de passe reste auprès du service que \
                      vous choisissez.",
        with: Around("Continuer avec ", ""),
        cancelled: "Vous avez annulé la connexion. Vous pouvez réessayer ou choisir un autre moyen.",
        failed: "Cela n’a pas fonctionné. Réessayez ou choisissez un autre moyen.",
        again: "Veuillez vous connecter à nouveau pour confirmer que c’est bien vous.",
    },
    consent: Consent {
        heading: "Autoriser l’accès\u{a0}?",
        application: Around("", " souhaite accéder à votre compte."),
        list: "Si vous l’autorisez, cette application pourra\u{a0}:",
        trust: "N’autorisez l’accès que si vous faites confiance à l’application.",
        host: Around("Dans tous les cas, vous reviendrez à ", "."),
    },
    scopes: Scopes {
        openid: "Vous reconnaître quand vous vous connectez",
        profile: "Voir votre nom et votre photo",
        email: "Voir votre adresse e-mail",
        offline_access: "Garder cet accès en votre absence",
        connect_accounts: "Connecter les comptes que vous avez auprès d’autres services",
        list_accounts: "Voir quels comptes vous avez connectés",
        disconnect_accounts: "Déconnecter les comptes que vous avez connectés",
        list_identities: "Voir avec quels comptes vous vous connectez",
        unlink_identities: "Retirer des comptes avec lesquels vous vous connectez",
        other: Around("Utiliser l’autorisation «\u{a0}", "\u{a0}»"),
    },
    link: Link {
        heading: "Ajouter un autre moyen de connexion\u{a0}?",
        added: "Vous ajoutez",
        effect: "Vous pourrez ensuite vous connecter ici avec l’un ou l’autre compte.",
        trust: "N’ajoutez ce compte que si les deux sont à vous\u{a0}: chacun d’eux donne accès.",
        allow: "Ajouter",
        deny: "Ne pas ajouter",
    },
    sign_out: SignOut {
        heading: "Se déconnecter\u{a0}?",
        question: "Voulez-vous vous déconnecter maintenant\u{a0}?",
        yes: "Se déconnecter",
        done_heading: "Vous êtes déconnecté",
        done: "Vous pouvez fermer cette page.",
        elsewhere: "Vous êtes peut-être encore connecté au service que vous avez utilisé pour vous \
                    connecter ici.",
        back: Around("Retour à ", ""),
    },
    error: Error {
        not_connected: "Le compte n’a pas été connecté",
        not_signed_in: "Vous n’avez pas été connecté",
        not_signed_out: "Vous n’avez pas été déconnecté",
        not_linked: "Le compte n’a pas été ajouté",
        link_is_over: "Ce lien ne fonctionne plus",
        no_answer: "Pas de réponse pour le moment",
        invalid: "Ce lien n’est pas valable. Retournez à l’application et réessayez.",
        expired: "Ce lien a expiré. Retournez à l’application et réessayez.",
        used: "Ce lien a déjà été utilisé. Retournez à l’application et réessayez.",
        used_connect: "Ce lien a déjà été utilisé. L’application indique si le compte est connecté \
                       ; sinon, recommencez depuis l’application.",
        other_browser: "Cette opération a été commencée dans un autre navigateur. Terminez-la là-bas ou \
                        recommencez depuis l’application.",
        unavailable: "Le service est injoignable pour le moment. Retournez à l’application et \
                      réessayez plus tard.",
        misconfigured: "Cette connexion n’est pas configurée correctement. Son exploitant doit s’en \
                        occuper.",
        application: "L’application a envoyé une demande incorrecte. Son développeur doit s’en occuper.",
        account_taken: "Ce compte appartient déjà à un autre utilisateur ici. Connectez-vous avec ce \
                        compte ou choisissez-en un autre.",
        too_many_accounts: "Vous avez déjà ajouté autant de comptes que possible.",
        disabled: "Votre accès a été désactivé. Veuillez contacter l’exploitant de ce service.",
        sign_in_too_old: "Pour cela, vous devez vous être connecté au cours des dernières minutes. \
                          Connectez-vous à nouveau et réessayez.",
        of_application: Around("L’application est ", "."),
        detail: "Pour le développeur",
    },
    response: Response {
        almost: "C’est presque fini",
        going: Around("Vous retournez à ", "."),
        nothing_happens: "Si rien ne se passe, appuyez sur le bouton.",
        go_on: "Continuer",
        done: "Terminé",
        close: "Vous pouvez fermer cette fenêtre.",
    },
};
