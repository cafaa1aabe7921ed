// SPDX-License-Identifier: Apache-2.0
use super::{Around, Consent, Error, Link, Response, Scopes, SignIn, SignOut, Texts};

pub const TEXTS: Texts = Texts {
    default_title: "Cuentas conectadas",
    signed_in_as: "Has iniciado sesión como",
    allow: "Permitir",
    deny: "No permitir",
    cancel: "Cancelar",
    sign_in: SignIn {
        heading: "Iniciar sesión",
        application: Around("para continuar en ", ""),
        explanation: "Elige cómo quieres iniciar sesión. Tu contraseña se queda en el servicio que elijas.",
        with: Around("Continuar con ", ""),
        cancelled: "Has cancelado el inicio de sesión. Puedes intentarlo de nuevo o elegir otra opción.",
        failed: "No ha funcionado. Inténtalo de nuevo o elige otra opción.",
        again: "Vuelve a iniciar sesión para confirmar que eres tú.",
    },
    consent: Consent {
        heading: "¿Permitir el acceso?",
        application: Around("", " quiere acceder a tu cuenta."),
        list: "Si lo permites, esta aplicación podrá:",
        trust: "Permítelo solo si confías en la aplicación.",
        host: Around("En cualquier caso, volverás a ", "."),
    },
    scopes: Scopes {
        openid: "Reconocerte cuando inicies sesión",
        profile: "Ver tu nombre y tu foto",
        email: "Ver tu dirección de correo electrónico",
        offline_access: "Mantener este acceso cuando no estés",
        connect_accounts: "Conectar cuentas que tienes en otros servicios",
        list_accounts: "Ver qué cuentas has conectado",
        disconnect_accounts: "Desconectar cuentas que has conectado",
        other: Around("Usar el permiso «", "»"),
    },
    link: Link {
        heading: "¿Añadir otra forma de iniciar sesión?",
        added: "Vas a añadir",
        effect: "A partir de entonces podrás iniciar sesión aquí con cualquiera de las dos cuentas.",
        trust: "Añádela solo si las dos cuentas son tuyas: cualquiera de ellas da acceso.",
        allow: "Añadir",
        deny: "No añadir",
    },
    sign_out: SignOut {
        heading: "¿Cerrar sesión?",
        question: "¿Quieres cerrar sesión ahora?",
        yes: "Cerrar sesión",
        done_heading: "Has cerrado sesión",
        done: "Puedes cerrar esta página.",
        elsewhere: "Es posible que tu sesión siga abierta en el servicio con el que entraste aquí.",
        back: Around("Volver a ", ""),
    },
    error: Error {
        not_connected: "La cuenta no se ha conectado",
        not_signed_in: "No se ha iniciado la sesión",
        not_signed_out: "No se ha cerrado la sesión",
        not_linked: "La cuenta no se ha añadido",
        invalid: "Este enlace no es válido. Vuelve a la aplicación e inténtalo de nuevo.",
        expired: "Este enlace ha caducado. Vuelve a la aplicación e inténtalo de nuevo.",
        used: "Este enlace ya se ha utilizado. Vuelve a la aplicación e inténtalo de nuevo.",
        other_browser: "Esto se inició en otro navegador. Termínalo allí o empieza de nuevo desde la \
                        aplicación.",
        unavailable: "No se puede contactar con el servicio en este momento. Vuelve a la aplicación e \
                      inténtalo más tarde.",
        misconfigured: "Esta conexión no está bien configurada. Debe revisarla quien la administra.",
        application: "La aplicación ha enviado una solicitud incorrecta. Debe revisarla quien la desarrolla.",
        account_taken: "Esta cuenta ya pertenece a otro usuario aquí. Inicia sesión con ella o elige otra \
                        cuenta.",
        too_many_accounts: "Ya has añadido todas las cuentas posibles.",
        disabled: "Tu acceso está desactivado. Ponte en contacto con quien administra este servicio.",
        sign_in_too_old: "Para esto tienes que haber iniciado sesión en los últimos minutos. Vuelve a \
                          iniciar sesión e inténtalo de nuevo.",
        detail: "Para quien desarrolla la aplicación",
    },
    response: Response {
        almost: "Ya casi está",
        going: Around("Vas a volver a ", "."),
        nothing_happens: "Si no ocurre nada, pulsa el botón.",
        go_on: "Continuar",
        done: "Listo",
        close: "Puedes cerrar esta ventana.",
    },
};
