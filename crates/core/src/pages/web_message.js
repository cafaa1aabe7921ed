// SPDX-License-Identifier: Apache-2.0
{
  const { origin, response } = document.querySelector('#response').dataset;
  const asked = window.parent === window ? window.opener : window.parent;
  asked?.postMessage({ type: 'authorization_response', response: JSON.parse(response) }, origin);
}
